/// \file
/// `net.server:parking_lot`: where connections are between two requests.
module;

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

export module net.server:parking_lot;

import net.socket;
import :request;

export namespace net {

/// Holds the connections that wait for their next request: no thread, no stack, one registration in
/// epoll that is made once and never re-armed (edge-triggered, epoll(7)).
///
/// A policy that wants to poll by itself takes the lot from its `PolicyContext` and calls `wait`;
/// else the serving thread does, and calls `process`.
class ParkingLot {
 public:
  ParkingLot();
  ParkingLot(const ParkingLot&) = delete;
  ParkingLot& operator=(const ParkingLot&) = delete;
  ~ParkingLot();

  /// Waits until connections have something to do, and hands them over: as many as `ready` has
  /// places for, at most 64. Returns how many; 0 after `wake`, or at the deadline.
  /// Thread safety: one thread at a time waits; each wait happens before the next.
  std::size_t wait(std::span<Request> ready, Deadline deadline);

  /// Ends the wait that is going on, or the next one. From any thread.
  void wake() noexcept;

  /// Returns the descriptor that is readable when `wait` would not wait.
  int fileno() const noexcept;

  // For the library's own parts. `enter` registers a connection that is parked already; `leave`
  // takes the registration back; `retire` frees it when no wait can know it any more; `push` hands
  // it to the next wait.
  void enter(Connection& connection);
  void leave(Connection& connection) noexcept;
  void want_output(Connection& connection, bool wanted) noexcept;
  void retire(Connection* connection) noexcept;
  void push(Request request) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
