/// \file
/// `net.server:gate`, internal: lets one thread sleep until another thread wakes it up.
module net.server:gate;

import net.standard;

namespace net {

// Unlike a condition variable, a gate needs no lock, wakes only this thread, and costs no system
// call if the thread does not sleep. One thread waits; any thread opens.
class Gate {
 public:
  // Called by the thread that will wait, before other threads can open the gate.
  inline void close() noexcept { open_.store(0, std::memory_order_relaxed); }
  void open() noexcept;
  void wait() noexcept;
  // Waits for at most that many nanoseconds; returns whether the gate is open.
  bool wait_for(std::int64_t nanoseconds) noexcept;

 private:
  std::atomic<int> open_{0};
};

}  // namespace net
