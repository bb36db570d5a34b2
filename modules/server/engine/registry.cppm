/// \file
/// `net.server:registry`, internal: the connections of a server.
module net.server:registry;

import net.standard;
import :due_timer;
import :poller;
import :wheel;

namespace net {

// An entry of the registry: the base of `Connection`.
struct Registered {
  Registered* previous = nullptr;
  Registered* next = nullptr;
  // The time at which the connection is checked. Any thread may read this member; the registry's
  // lock guards the others.
  std::atomic<CoarseTime> filed_under{0};

 protected:
  Registered() noexcept = default;
  ~Registered() = default;
};

// The connections of a server from accept to close, each filed under the time at which its deadline
// must be checked. The registry also counts the connections that have not wholly ended. The end of
// a connection lowers this count last: when it is zero, no connection uses the server any more.
//
// A connection that is parked or waits in a queue is filed under its deadline, rounded up to the
// end of a bucket of the wheel, or under an earlier time; a running one may be filed under no time.
// Parking therefore touches the registry only if the new deadline is earlier than the time under
// which the connection is filed. At that time, the connection is checked, and filed again if its
// deadline has moved.
class Registry {
 public:
  explicit Registry(DueTimer& timer) noexcept : timer_(timer) {}

  // Must be held for every call except `size` and `done`.
  std::mutex mutex;

  inline void add(Registered& connection) noexcept {
    wheel_.add(connection);
    size_.fetch_add(1);
  }

  inline void unlink(Registered& connection) noexcept { wheel_.remove(connection); }

  // Files the connection to be checked when `limit` has passed, at the latest one bucket of the
  // wheel later; but earlier if `limit` is beyond the span of the wheel. Sets the serving thread's
  // timer.
  inline void file(Registered& connection, CoarseTime limit, CoarseTime now) noexcept {
    wheel_.file(connection, limit, now);
    timer_.due_by(connection.filed_under.load(std::memory_order_relaxed));
  }

  // Returns a connection that is due, and files it under no time. Returns null if none is due.
  inline Registered* take_due(CoarseTime now) noexcept { return wheel_.take_due(now); }

  // Sets the timer for the connection that is due next.
  inline void set_timer() noexcept { timer_.due_by(wheel_.next_due()); }

  template <class F>
  void for_each(F function) {
    wheel_.for_each(function);
  }

  inline std::size_t size() const noexcept { return size_.load(); }

  // Subtracts an ended connection from the count, and calls `notify` with the new count under the
  // lock. So a thread that sees zero and then acquires the lock once knows that `notify` has
  // returned.
  template <class F>
  void done(F notify) noexcept {
    const std::lock_guard lock(mutex);
    notify(size_.fetch_sub(1) - 1);
  }

 private:
  Wheel<Registered> wheel_;
  DueTimer& timer_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace net
