/// \file
/// `net.server:poller`, internal: epoll and eventfd, as objects.
module;

#include <sys/epoll.h>

module net.server:poller;

import net.standard;
import net.socket;
import :coarse_clock;

namespace net {

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
  // Takes the other's descriptor, and that one's is closed: a thread that polls this number goes
  // on.
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
