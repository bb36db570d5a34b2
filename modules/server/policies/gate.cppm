/// \file
/// `net.server:gate`, internal: where one thread sleeps until another wakes it up.
module net.server:gate;

import net.standard;

namespace net {

// Lets one thread wait until any other thread opens the gate. Unlike a condition variable, a gate
// needs no lock, wakes just this thread, and costs no system call if it is open already.
class Gate {
 public:
  // Called by the thread that will wait, before other threads can know of its wait.
  inline void close() noexcept { open_.store(0, std::memory_order_relaxed); }
  void open() noexcept;
  void wait() noexcept;
  // Waits for at most `nanoseconds`. Returns whether the gate is open.
  bool wait_for(std::int64_t nanoseconds) noexcept;

 private:
  std::atomic<int> open_{0};
};

}  // namespace net
