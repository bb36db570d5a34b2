/// \file
/// `net.server:pace`, internal: what a pool has learned about its handlers.
module net.server:pace;

import net.standard;

namespace net {

// The steady clock, in nanoseconds.
using FineTime = std::int64_t;
FineTime fine_now() noexcept;

// Decides how eagerly a pool wakes its workers, and when a handler counts as blocked. It only
// computes; the lock of the scheduler guards it. scheduler.cpp explains the algorithm.
class Pace {
 public:
  // `cores`: how many threads can run at the same time. Even with one, a worker that waits in the
  // lot must not keep another from serving.
  inline explicit Pace(std::size_t cores) noexcept : cores_(std::max<std::size_t>(cores, 2)) {}

  // A handler that has run for longer than this counts as blocked.
  inline FineTime patience() const noexcept { return patience_; }

  // Returns whether a handler was found to have slept during the last second, so that the next one
  // may block as well.
  inline bool expects_blocking(FineTime now) const noexcept { return now < expects_until_; }

  // Returns how many workers that are not blocked may be awake at the same time. Workers that are
  // awake already may exceed that number by `spare`, to be ready when the next handler blocks.
  inline std::size_t most_awake(FineTime now) const noexcept {
    return expects_blocking(now) ? cores_ + unnoticed_ : cores_;
  }
  inline std::size_t spare(FineTime now) const noexcept {
    return expects_blocking(now) ? 2 * cores_ : 0;
  }

  // Returns whether `waiting` requests are worth waking a worker for, because they would take at
  // least as long as a wake-up costs. While `expects_blocking`, the poll counts as one more request
  // if no worker polls.
  bool worth_waking(std::size_t waiting, bool polled, FineTime now) const noexcept;

  // Returns whether to count the context switches of the handler that is about to run, which costs
  // two system calls.
  inline bool samples(FineTime now) noexcept { return now < samples_until_ && is_next_sample(now); }

  // The run of one handler. `sampled`: whether `slept` is known. `noticed`: whether the handler
  // counted as blocked while it ran.
  struct Ran {
    FineTime begin;
    FineTime end;
    bool sampled;
    bool slept;
    bool noticed;
  };
  inline void handler_ran(const Ran& ran) noexcept {
    const FineTime duration = ran.end - ran.begin;
    mean_ += (std::min(duration, longest_counted) - mean_) / 64;
    if (was_long(duration)) long_handler_ran(ran);
  }
  // Returns whether a handler took so long that it matters whether it slept.
  inline static bool was_long(FineTime duration) noexcept { return duration >= long_handler; }

  // Called by the sentinel, with the number of handlers that have been noticed as blocked so far.
  void tick(FineTime now, std::uint64_t noticed) noexcept;
  // Returns how long the sentinel sleeps until its next tick.
  FineTime next_tick(FineTime now) noexcept;
  // Called after the sentinel has slept without a limit.
  inline void rested() noexcept { nap_ = 0; }

 private:
  static constexpr FineTime microsecond = 1'000;
  static constexpr FineTime long_handler = 100 * microsecond;
  static constexpr FineTime longest_counted = 10'000 * microsecond;

  bool is_next_sample(FineTime now) noexcept;
  void long_handler_ran(const Ran& ran) noexcept;

  std::size_t cores_;
  FineTime mean_ = 6 * microsecond;  // duration of a handler, over about the last 64
  FineTime patience_ = 1'000 * microsecond;
  FineTime samples_from_ = 0;   // when a long handler ended after a quiet time
  FineTime samples_until_ = 0;  // a second after the last long handler
  FineTime next_sample_ = 0;
  FineTime expects_until_ = 0;  // a second after the last handler that slept
  FineTime last_tick_ = 0;
  FineTime nap_ = 0;
  std::uint64_t noticed_ = 0;
  double noticing_rate_ = 0;   // handlers noticed as blocked, per nanosecond
  std::size_t unnoticed_ = 0;  // handlers that are blocked and not yet noticed, on average
};

}  // namespace net
