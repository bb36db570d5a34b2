/// \file
/// `net.server:parking_lot`: where connections wait between two requests.
export module net.server:parking_lot;

import net.standard;
import net.socket;
import :request;

namespace net {

// What a lot polls besides connections: a socket that yields datagrams or new connections.
class Receiver {
 public:
  Receiver() noexcept = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  virtual int fileno() const noexcept = 0;
  // Receives what has arrived. Returns the number of requests that it put into `ready`.
  virtual std::size_t receive(std::span<Request> ready) noexcept = 0;

  std::uint64_t key = 0;  // assigned by the lot

 protected:
  ~Receiver() = default;
};

}  // namespace net

export namespace net {

/// Holds the connections that wait for their next request. A waiting connection needs no thread and
/// no stack, only one registration in epoll, which is made once and never re-armed (edge-triggered,
/// epoll(7)). The lot also yields datagrams. When no hook or overload rule applies, the waiting
/// thread accepts new connections too.
///
/// A policy that polls by itself takes the lot from its `PolicyContext` and calls `wait`. Otherwise
/// the serving thread waits, and calls `process`.
class ParkingLot {
 public:
  ParkingLot(const ParkingLot&) = delete;
  ParkingLot& operator=(const ParkingLot&) = delete;

  /// Waits until requests are ready, and moves as many as fit into `ready`. Returns how many; 0
  /// after `wake`, at the deadline, or if nothing is to be served yet. Precondition: `ready` has
  /// space for at least one. Thread safety: one thread may wait at a time, and each wait must
  /// happen before the next.
  std::size_t wait(std::span<Request> ready, Deadline deadline);

  /// Ends the current wait, or the next one. May be called from any thread.
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

// The private side of a lot, for the library.
class OwnParkingLot final : public ParkingLot {
 public:
  // For a forked process, which shares the lot with its parent: `close` stops using it, `renew`
  // makes an empty lot of its own.
  void close() noexcept;
  void renew();
  // Registers a connection (`enter`), or removes the registration (`leave`). The connection must be
  // parked before a wait can meet an event of it.
  void enter(Connection& connection);
  void leave(Connection& connection) noexcept;
  void want_output(Connection& connection, bool wanted) noexcept;
  // Frees the connection once no wait can still refer to it.
  void retire(Connection* connection) noexcept;
  // The next wait returns this request.
  void push(Request request) noexcept;
  // After `remove` has returned, no wait calls the receiver.
  void add(Receiver& receiver);
  void remove(Receiver& receiver) noexcept;
  bool arm(Receiver& receiver, bool armed) noexcept;
};

}  // namespace net
