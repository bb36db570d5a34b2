/// \file
/// `net.server:slots`, internal: the limit on connections, and the handshake between listeners that
/// need a slot and connections that free one.
module net.server:slots;

import net.standard;
import :poller;
import :registry;

namespace net {

// Counts the slots that a server has for connections. A listener that finds no free slot pauses and
// calls `paused`. A connection that ends calls `freed`, which wakes up the serving thread if a
// listener has paused. The later of the two calls sees the earlier one, so no listener stays paused
// while a slot is free. May be used from any thread, except where a function says otherwise.
class Slots {
 public:
  Slots(const Registry& registry, Wakeup& serving_thread, std::size_t most) noexcept
      : registry_(registry), serving_thread_(serving_thread), most_(most) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  std::size_t free() const noexcept {
    const std::size_t taken = registry_.size();
    return taken < most_ ? most_ - taken : 0;
  }
  std::size_t most() const noexcept { return most_; }
  bool overfull() const noexcept { return registry_.size() > most_; }

  // Why a listener has paused. `slot`: no slot is free. `other`: there is another reason, and the
  // pause lasts until a certain time, or until the serving thread has handled that reason.
  enum class PausedFor : std::uint8_t { slot, other };
  void paused(PausedFor reason) noexcept {
    somebody_paused_.store(true);
    if (reason == PausedFor::other || free() == 0) return;
    // A connection that ended before `somebody_paused_` was set did not signal, so signal here.
    slot_freed_.store(true);
    serving_thread_.signal();
  }

  // Called when a connection has ended.
  void freed() noexcept {
    if (!somebody_paused_.load()) return;
    slot_freed_.store(true, std::memory_order_relaxed);
    serving_thread_.signal();
  }

  // Called on the serving thread before it resumes listeners. Those that stay paused call `paused`
  // again. Returns whether a slot was freed.
  bool begin_resuming() noexcept {
    somebody_paused_.store(false);
    return slot_freed_.exchange(false);
  }
  bool anybody_paused() const noexcept { return somebody_paused_.load(std::memory_order_relaxed); }

 private:
  const Registry& registry_;
  Wakeup& serving_thread_;
  const std::size_t most_;
  std::atomic<bool> slot_freed_{false};  // since the last look
  std::atomic<bool> somebody_paused_{false};
};

}  // namespace net
