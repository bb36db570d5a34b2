/// \file
/// `net.server:parking_lot`: where connections are between two requests.
export module net.server:parking_lot;

import net.standard;
import net.socket;
import :request;

namespace net {

// What waits in a lot beside connections: a socket from which datagrams are taken as requests, or
// connections.
class Receiver {
 public:
  Receiver() noexcept = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  virtual int fileno() const noexcept = 0;
  // Takes what is there; returns how many requests that made, at most as many as `ready` has places
  // for.
  virtual std::size_t receive(std::span<Request> ready) noexcept = 0;

  std::uint64_t key = 0;  // the lot's

 protected:
  ~Receiver() = default;
};

}  // namespace net

export namespace net {

/// Holds the connections that wait for their next request: no thread, no stack, one registration in
/// epoll that is made once and never re-armed (edge-triggered, epoll(7)). It also yields
/// datagrams. When no hook or overload rule applies, the waiting thread accepts new connections
/// too.
///
/// A policy that wants to poll by itself takes the lot from its `PolicyContext` and calls `wait`;
/// else the serving thread does, and calls `process`.
class ParkingLot {
 public:
  ParkingLot(const ParkingLot&) = delete;
  ParkingLot& operator=(const ParkingLot&) = delete;

  /// Waits until connections have something to do, and hands them over: as many as `ready` has
  /// places for, at most 64. Returns how many; 0 after `wake`, at the deadline, or if what came has
  /// nothing to do yet.
  /// Thread safety: one thread at a time waits; each wait happens before the next.
  std::size_t wait(std::span<Request> ready, Deadline deadline);

  /// Ends the wait that is going on, or the next one. From any thread.
  void wake() noexcept;

  /// Returns the descriptor that is readable when `wait` would not wait.
  int fileno() const noexcept;

 protected:
  ParkingLot();
  ~ParkingLot();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net

namespace net {

// The same, for the library.
class OwnParkingLot final : public ParkingLot {
 public:
  // For a process that shares the lot with the one that made it: takes no part any more, or makes
  // an empty lot of its own.
  void close() noexcept;
  void renew();
  // Registers a connection that is parked already, and takes the registration back.
  void enter(Connection& connection);
  void leave(Connection& connection) noexcept;
  void want_output(Connection& connection, bool wanted) noexcept;
  // Frees it when no wait can know it any more.
  void retire(Connection* connection) noexcept;
  // Hands it to the next wait.
  void push(Request request) noexcept;
  // `remove` returns when no wait is in the receiver or will be.
  void add(Receiver& receiver);
  void remove(Receiver& receiver) noexcept;
  bool arm(Receiver& receiver, bool armed) noexcept;
};

}  // namespace net
