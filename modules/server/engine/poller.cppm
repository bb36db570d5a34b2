/// \file
/// `net.server:poller`, internal: epoll and eventfd as objects.
module;

#include <sys/epoll.h>

module net.server:poller;

import net.standard;
import net.socket;
import :coarse_clock;

namespace net {

// Wakes up a poll from any thread, signal handler or child.
class Wakeup {
 public:
  Wakeup();
  inline int fileno() const noexcept { return descriptor_.get(); }
  void signal() noexcept;
  void clear() noexcept;
  // In a process that was forked since: closes its copy of the descriptor.
  inline void close() noexcept { descriptor_.close(); }

 private:
  Descriptor descriptor_;
};

// Has `ready` called when a descriptor is ready.
class Watch {
 public:
  Watch() noexcept = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch();
  virtual void ready(std::uint32_t events) = 0;
};

// Polls descriptors, level-triggered, for one thread. Other threads may call `add`.
class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  inline int fileno() const noexcept { return descriptor_.get(); }
  void add(int descriptor, Watch& watch);
  // Pauses or resumes the polling of a descriptor that was added. Pausing removes it from epoll,
  // which would go on reporting errors. Returns false if the system has no memory for it.
  bool arm(int descriptor, Watch& watch, bool armed) noexcept;
  // Removes the watch, also from the batch that is being dispatched.
  void remove(int descriptor, const Watch& watch) noexcept;
  // In a process that was forked since: closes its copy of the descriptor.
  void close() noexcept;
  // Takes over the descriptor number of `other`, whose own epoll instance is closed here. A thread
  // that polls that number then polls this one.
  void take_number_of(Poller& other);
  // Waits, then calls at most `most` ready watches. Returns how many events there were.
  std::size_t dispatch(Deadline deadline, std::size_t most = 64);

 private:
  Descriptor descriptor_;
  std::array<epoll_event, 64> batch_{};
  std::span<epoll_event> dispatching_;
};

// Calls epoll_wait with a deadline. A signal ends it with no events.
std::span<epoll_event> wait_for_events(int epoll, std::span<epoll_event> room, Deadline deadline);

}  // namespace net
