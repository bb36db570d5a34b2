/// \file
/// `net.server:poller`, internal: epoll and eventfd, as objects.
module;

#include <sys/epoll.h>
#include <time.h>

module net.server:poller;

import net.standard;
import net.socket;

namespace net {

// The clock of limits: the steady clock to the kernel's tick, which costs a fifth to read. In
// nanoseconds, so that it fits an atomic.
using CoarseTime = std::int64_t;
inline CoarseTime coarse_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return CoarseTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
// The coarse time that far from `from`; a limit of more than a century never comes.
inline CoarseTime coarse_after(CoarseTime from, std::int64_t milliseconds) noexcept {
  constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  // Half of what there is, 146 years: the other half is more than any clock shows.
  return milliseconds > never / 1'000'000 / 2 ? never : from + milliseconds * 1'000'000;
}

// Wakes a poll from anywhere, signal handlers and children included.
class Wakeup {
 public:
  Wakeup();
  inline int fileno() const noexcept { return descriptor_.get(); }
  void signal() noexcept;
  void clear() noexcept;
  // In a process that shares it with the one that made it: takes no part any more.
  inline void close() noexcept { descriptor_.close(); }

 private:
  Descriptor descriptor_;
};

// Is told that a descriptor is ready.
class Watch {
 public:
  Watch() noexcept = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch();
  virtual void ready(std::uint32_t events) = 0;
};

// Polls descriptors, level-triggered, for one thread; `add` may come from others.
class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  inline int fileno() const noexcept { return descriptor_.get(); }
  void add(int descriptor, Watch& watch);
  // Pauses or resumes what was added: out of epoll, which would go on telling of errors. False if
  // the system has no room for it.
  bool arm(int descriptor, Watch& watch, bool armed) noexcept;
  // Forgets the watch, also in the batch that is being dispatched.
  void remove(int descriptor, const Watch& watch) noexcept;
  // In a process that shares it with the one that made it: takes no part any more.
  void close() noexcept;
  // Takes the other's descriptor, and that one's is closed: whoever polls this number goes on.
  void take_number_of(Poller& other);
  // Waits and calls the ready watches, at most `most` of them; returns how many.
  std::size_t dispatch(Deadline deadline, std::size_t most = 64);

 private:
  Descriptor descriptor_;
  std::array<epoll_event, 64> batch_{};
  std::span<epoll_event> dispatching_;
};

// epoll_wait within a deadline; a signal ends it with nothing.
std::span<epoll_event> wait_for_events(int epoll, std::span<epoll_event> room, Deadline deadline);

}  // namespace net
