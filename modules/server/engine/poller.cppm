/// \file
/// `net.server:poller`, internal: epoll and eventfd, as objects.
module net.server:poller;

import net.standard;
import net.socket;
import :coarse_clock;

extern "C++" struct epoll_event;  // <sys/epoll.h>

namespace net {

// An eventfd that wakes up a poll. Signal handlers and children may signal it too.
class Wakeup {
 public:
  Wakeup();
  inline int fileno() const noexcept { return descriptor_.get(); }
  void signal() noexcept;
  void clear() noexcept;
  // In a forked process: closes this process's copy of the descriptor.
  inline void close() noexcept { descriptor_.close(); }

 private:
  Descriptor descriptor_;
};

// Handles the events of a descriptor: the poller calls `ready` for them.
class Watch {
 public:
  Watch() noexcept = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  virtual ~Watch();
  virtual void ready(std::uint32_t events) = 0;
};

// A level-triggered epoll instance that one thread polls at a time. Other threads may call `add`
// and `arm`.
class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  inline int fileno() const noexcept { return descriptor_.get(); }
  void add(int descriptor, Watch& watch);
  // Pauses or resumes a watched descriptor. Pausing removes it from epoll, which would otherwise go
  // on reporting errors. Returns false if epoll_ctl fails, for example for lack of memory.
  bool arm(int descriptor, Watch& watch, bool armed) noexcept;
  // Removes the descriptor. Also skips its events in the batch that is being dispatched.
  void remove(int descriptor, const Watch& watch) noexcept;
  // In a forked process: closes this process's copy of the descriptor.
  void close() noexcept;
  // Moves this epoll instance to the descriptor number of `other`, whose own instance is closed. A
  // thread that polls that number goes on with this instance.
  void take_number_of(Poller& other);
  // Waits for at most `most` events and calls their watches. Returns the number of events.
  std::size_t dispatch(Deadline deadline, std::size_t most = 64);

 private:
  Descriptor descriptor_;
  struct Batch;
  const std::unique_ptr<Batch> batch_;
};

// Waits for events until the deadline, with one call of epoll_wait(2). Returns no events if a
// signal interrupts the call.
std::span<epoll_event> wait_for_events(int epoll, std::span<epoll_event> room, Deadline deadline);

}  // namespace net
