/// \file
/// `net.server:registry`, internal: the connections of a server.
module net.server:registry;

import net.standard;
import :due_timer;
import :poller;
import :wheel;

namespace net {

// The part of a connection that a registry uses.
struct Registered {
  Registered* previous = nullptr;
  Registered* next = nullptr;
  // When the connection's limit is looked at. Any thread may read it; the rest is under the
  // registry's lock.
  std::atomic<CoarseTime> filed_under{0};

 protected:
  Registered() noexcept = default;
  ~Registered() = default;
};

// Holds the connections from accept to close, each filed under the time at which its limit must be
// looked at. Also counts the connections that have not ended completely. The count falls last: when
// it is zero, no connection uses anything of the server any more.
//
// A connection that is parked or waits in a queue is filed at its limit or earlier; one that runs
// may be filed under no time. Parking therefore touches the registry only if the new limit is
// earlier than the time that the connection is filed under. When that time comes, the connection is
// looked at, and filed again if its limit has moved.
class Registry {
 public:
  explicit Registry(DueTimer& timer) noexcept : timer_(timer) {}

  // Guards everything but `size`. `done` takes it.
  std::mutex mutex;

  inline void add(Registered& connection) noexcept {
    wheel_.add(connection);
    size_.fetch_add(1);
  }

  inline void unlink(Registered& connection) noexcept { wheel_.remove(connection); }

  // Files the connection so that it is looked at when `limit` has passed, at the latest one bucket
  // of the wheel later. Sets the serving thread's timer.
  inline void file(Registered& connection, CoarseTime limit, CoarseTime now) noexcept {
    wheel_.file(connection, limit, now);
    timer_.due_by(connection.filed_under.load(std::memory_order_relaxed));
  }

  // Returns a connection whose time has come, and files it under no time. Returns null if there is
  // none.
  inline Registered* take_due(CoarseTime now) noexcept { return wheel_.take_due(now); }

  // Sets the timer for the next connection.
  inline void set_timer() noexcept { timer_.due_by(wheel_.next_due()); }

  template <class F>
  void for_each(F function) {
    wheel_.for_each(function);
  }

  inline std::size_t size() const noexcept { return size_.load(); }

  // Counts a connection out. Calls `notify` under the lock, so that a thread that sees zero and
  // then takes the lock once knows that `notify` has returned.
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
