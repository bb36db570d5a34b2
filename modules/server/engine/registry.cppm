/// \file
/// `net.server:registry`, internal: the connections of a server.
module net.server:registry;

import net.standard;
import :due_timer;
import :poller;
import :wheel;

namespace net {

// What is in a registry: a connection.
struct Registered {
  Registered* previous = nullptr;
  Registered* next = nullptr;
  // When its limit is looked at. Anybody may read it; the rest is under the registry's lock.
  std::atomic<CoarseTime> filed_under{0};

 protected:
  Registered() noexcept = default;
  ~Registered() = default;
};

// The connections from accept to close, filed by when the limit of each must be looked at, and the
// number of those not wholly ended. The number falls last: when it is zero, nothing of the server
// is in anybody's hand.
//
// A connection that is parked or waits in a queue is filed at its limit or earlier; one that runs
// may be filed under no time. Parking therefore touches the registry only if the new limit is
// earlier than what the connection is filed under. A connection that comes up is looked at, and
// filed again if its limit has moved.
class Registry {
 public:
  explicit Registry(DueTimer& timer) noexcept : timer_(timer) {}

  // The rest under this lock, but for size and done.
  std::mutex mutex;

  inline void add(Registered& connection) noexcept {
    wheel_.add(connection);
    size_.fetch_add(1);
  }

  inline void unlink(Registered& connection) noexcept { wheel_.remove(connection); }

  // Has the connection looked at when `limit` has passed, at the latest a bucket later. The serving
  // thread is told.
  inline void file(Registered& connection, CoarseTime limit, CoarseTime now) noexcept {
    wheel_.file(connection, limit, now);
    timer_.due_by(connection.filed_under.load(std::memory_order_relaxed));
  }

  // Returns a connection whose time has come, and files it under none; null if there is none.
  inline Registered* take_due(CoarseTime now) noexcept { return wheel_.take_due(now); }

  // Sets the timer for the next connection.
  inline void set_timer() noexcept { timer_.due_by(wheel_.next_due()); }

  template <class F>
  void for_each(F function) {
    wheel_.for_each(function);
  }

  inline std::size_t size() const noexcept { return size_.load(); }

  // Counts a connection out. `notify` is called under the lock, so that a thread that sees zero and
  // takes the lock once knows that this is over.
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
