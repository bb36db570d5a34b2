/// \file
/// `net.server:backoff`, internal: how long a listener that cannot accept pauses.
module net.server:backoff;

import net.standard;

namespace net {

// The pauses of a listener, in milliseconds. They double while the system refuses what the listener
// needs, and start with the shortest again once the listener has accepted something.
//
// A listener may also be woken up although nothing waits, which happens now and then. A socket that
// another process has shut down causes such wake-ups without end, so many in a row count as a
// failure.
class Backoff {
 public:
  static constexpr std::int64_t shortest = 10;
  static constexpr std::int64_t longest = 500;
  static constexpr int most_spurious = 100;  // wake-ups in a row

  // The listener has accepted something.
  void succeeded() noexcept {
    pause_ = 0;
    spurious_ = 0;
  }

  // The listener cannot accept. Returns how long it should pause.
  std::int64_t failed() noexcept {
    pause_ = std::clamp(pause_ * 2, shortest, longest);
    return pause_;
  }

  // The listener was woken up, but nothing waited. Returns whether that has happened so often that
  // it counts as `failed`.
  bool woken_for_nothing() noexcept {
    if (++spurious_ < most_spurious) return false;
    spurious_ = 0;
    return true;
  }

 private:
  std::int64_t pause_ = 0;  // the last pause
  int spurious_ = 0;
};

}  // namespace net
