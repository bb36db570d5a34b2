/// \file
/// `net.server:gate`, internal: where one thread sleeps until another lets it go on.
module net.server:gate;

import net.standard;

namespace net {

// Unlike a condition variable it needs no lock, wakes just this thread, and costs no system call if
// the thread does not sleep. One thread waits; any thread opens.
class Gate {
 public:
  // By the thread that will wait, before others can know of it.
  inline void close() noexcept { open_.store(0, std::memory_order_relaxed); }
  void open() noexcept;
  void wait() noexcept;
  // The same for at most that many nanoseconds; returns whether the gate is open.
  bool wait_for(std::int64_t nanoseconds) noexcept;

 private:
  std::atomic<int> open_{0};
};

}  // namespace net
