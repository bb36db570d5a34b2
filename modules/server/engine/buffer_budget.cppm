/// \file
/// `net.server:buffer_budget`, internal: a limit for the memory that is held for clients.
module net.server:buffer_budget;

import net.standard;
import :poller;

namespace net {

// Counts the bytes that parked connections hold: incomplete requests, and answers that clients have
// not taken. Beyond the budget it wakes the serving thread, which sheds the connections that hold
// the most. May be used from any thread, except where a function says otherwise.
class BufferBudget {
 public:
  // `most`: the budget in bytes. 0: a quarter of the memory that this process may use.
  BufferBudget(std::size_t most, Wakeup& serving_thread);
  BufferBudget(const BufferBudget&) = delete;
  BufferBudget& operator=(const BufferBudget&) = delete;

  // Notes that one connection holds a different number of bytes now.
  inline void changed(std::size_t before, std::size_t after) noexcept {
    const std::size_t change = after - before;  // modulo 2^64, like the sum
    const std::size_t held = held_.fetch_add(change, std::memory_order_relaxed) + change;
    if (held > highest_.load(std::memory_order_relaxed)) {
      highest_.store(held, std::memory_order_relaxed);
    }
    if (held > most_ || is_worth_giving_back(held)) serving_thread_.signal();
  }

  inline std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
  std::size_t most() const noexcept { return most_; }
  // Returns how many bytes must be freed so that the budget is not exceeded again at once; 0 if it
  // is not exceeded.
  std::size_t to_free() const noexcept {
    const std::size_t now = held();
    return now > most_ ? now - most_ / 8 * 7 : 0;
  }

  // After a peak, gives memory back to the system. On the serving thread.
  void give_back() noexcept;

 private:
  // Returns whether the last peak was high, and is over.
  inline bool is_worth_giving_back(std::size_t held) const noexcept {
    constexpr std::size_t high = std::size_t{16} * 1024 * 1024;
    const std::size_t highest = highest_.load(std::memory_order_relaxed);
    return highest > high && held <= highest / 16;
  }

  const std::size_t most_;
  Wakeup& serving_thread_;
  std::atomic<std::size_t> held_{0};
  std::atomic<std::size_t> highest_{0};  // since memory was last given back
};

}  // namespace net
