/// \file
/// `net.server:slots`, internal: how many connections may be accepted, and the one hand-shake
/// between "there is no slot" and "a slot is free".
module net.server:slots;

import net.standard;
import :poller;
import :registry;

namespace net {

// Each connection of a server takes a slot. A listener that finds no free slot pauses, and notes
// that. A connection that ends signals a free slot if a listener has paused. Whichever of the two
// comes second sees the other, so no listener stays paused while a slot is free. From any thread,
// except where it says otherwise.
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

  // Why a listener has paused: there is no free slot (`slot`); or it waits until a time, or for the
  // serving thread to act (`other`).
  enum class PausedFor : std::uint8_t { slot, other };
  void paused(PausedFor reason) noexcept {
    somebody_paused_.store(true);
    if (reason == PausedFor::other || free() == 0) return;
    // A connection that ended before the store above did not signal.
    slot_freed_.store(true);
    serving_thread_.signal();
  }

  // A connection has ended.
  void freed() noexcept {
    if (!somebody_paused_.load()) return;
    slot_freed_.store(true, std::memory_order_relaxed);
    serving_thread_.signal();
  }

  // On the serving thread, which resumes listeners after this call; those that stay paused call
  // `paused` again. Returns whether a slot was freed.
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
