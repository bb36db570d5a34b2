/// \file
/// `net.server:parking_lot`: where connections wait between two requests.
export module net.server:parking_lot;

import net.standard;
import net.socket;
import :request;

namespace net {

// A socket that is polled in a lot beside the connections, and from which datagrams (as requests)
// or new connections are taken.
class Receiver {
 public:
  Receiver() noexcept = default;
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  virtual int fileno() const noexcept = 0;
  // Takes what has arrived. Returns how many requests it put into `ready`, at most `ready.size()`.
  virtual std::size_t receive(std::span<Request> ready) noexcept = 0;

  std::uint64_t key = 0;  // given by the lot

 protected:
  ~Receiver() = default;
};

}  // namespace net

export namespace net {

/// Holds the connections that wait for their next request. Such a connection uses no thread and no
/// stack, and one registration in epoll that is made once and never re-armed (edge-triggered,
/// epoll(7)). The lot also yields datagrams. When no hook or overload rule applies, the waiting
/// thread also accepts new connections.
///
/// A policy that wants to poll the lot itself takes it from its `PolicyContext` and calls `wait`.
/// Otherwise the serving thread polls, and calls `process`.
class ParkingLot {
 public:
  ParkingLot(const ParkingLot&) = delete;
  ParkingLot& operator=(const ParkingLot&) = delete;

  /// Waits until connections can go on, and moves them to `ready`: as many as fit, at most 64.
  /// Returns how many; 0 after `wake`, at the deadline, or if what arrived needs no work yet.
  /// Thread safety: one thread at a time waits; each wait happens before the next.
  std::size_t wait(std::span<Request> ready, Deadline deadline);

  /// Ends the current wait, or the next one. From any thread.
  void wake() noexcept;

  /// Returns a descriptor that is readable when `wait` would return at once.
  int fileno() const noexcept;

 protected:
  ParkingLot();
  ~ParkingLot();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net

namespace net {

// The part for the library only.
class OwnParkingLot final : public ParkingLot {
 public:
  // For a process that was forked after the lot was made: `close` closes its copies of the
  // descriptors, `renew` makes an empty lot of its own.
  void close() noexcept;
  void renew();
  // Registers a connection that is parked already; removes the registration.
  void enter(Connection& connection);
  void leave(Connection& connection) noexcept;
  void want_output(Connection& connection, bool wanted) noexcept;
  // Frees the connection as soon as no wait can refer to it.
  void retire(Connection* connection) noexcept;
  // Makes the next wait return the request.
  void push(Request request) noexcept;
  // When `remove` returns, no wait uses the receiver, now or later.
  void add(Receiver& receiver);
  void remove(Receiver& receiver) noexcept;
  bool arm(Receiver& receiver, bool armed) noexcept;
};

}  // namespace net
