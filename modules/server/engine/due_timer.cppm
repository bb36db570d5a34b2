/// \file
/// `net.server:due_timer`, internal: a timer that wakes up a poll when something is due.
module net.server:due_timer;

import net.standard;
import net.socket;
import :poller;

namespace net {

/// A timerfd that fires at the earliest of the times that it was asked for. The serving thread has
/// it in its poller, so that each thread that polls that poller, the host program's included,
/// learns of every limit.
///
/// When it has fired, the serving thread calls `clear`, does what is due, and then asks for the
/// next time of each thing that it watches over. A time that another thread asks for meanwhile
/// counts as well.
class DueTimer {
 public:
  DueTimer();
  DueTimer(const DueTimer&) = delete;
  DueTimer& operator=(const DueTimer&) = delete;
  ~DueTimer();

  /// Returns the descriptor, which is readable once the time has come.
  inline int fileno() const noexcept { return descriptor_.get(); }

  /// Makes the timer fire at `time` at the latest. Makes a system call only if that is earlier than
  /// the time it is set to. From any thread, also under a lock: its own lock is the last to be
  /// taken.
  inline void due_by(CoarseTime time) noexcept {
    if (time < set_to_.load(std::memory_order_relaxed)) set(time);
  }

  /// Makes a timer that has fired wait for the next `due_by`. Returns the time by the steady clock,
  /// because the coarse clock may not have reached the time that the timer was set to. On the
  /// serving thread, before it looks for what is due.
  CoarseTime clear() noexcept;

  /// Closes the descriptor in a forked child, and ignores every `due_by` from then on: the timer
  /// is the parent's.
  void close_in_child() noexcept;

 private:
  void set(CoarseTime time) noexcept;

  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();

  Descriptor descriptor_;
  std::mutex mutex_;  // the descriptor and `set_to_` change together
  std::atomic<CoarseTime> set_to_{never};
};

}  // namespace net
