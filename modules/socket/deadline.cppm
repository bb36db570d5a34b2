/// \file
/// `net.socket:deadline`: until when a call may wait.
export module net.socket:deadline;

import net.standard;

export namespace net {

/// A point on the steady clock, so setting the wall clock moves no deadline. A duration converts
/// to the point that far from now; `Deadline::never()`, the default, is after all others.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  constexpr Deadline() noexcept = default;
  /// Converts a point on the clock.
  constexpr Deadline(Clock::time_point point) noexcept : point_(point) {}

  /// Converts a duration from now. One of more than a century is never.
  template <class Rep, class Period>
  Deadline(std::chrono::duration<Rep, Period> from_now) {
    using Years = std::chrono::duration<double, std::chrono::years::period>;
    const double years = Years(from_now).count();
    if (years <= -100) {
      point_ = Clock::time_point::min();
    } else if (years < 100) {
      point_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(from_now);
    }
  }

  /// Returns the deadline after all others.
  static constexpr Deadline never() noexcept { return {}; }

  /// Returns whether it never comes.
  constexpr bool is_never() const noexcept { return point_ == Clock::time_point::max(); }
  /// Returns the point on the clock, its last one if it never comes.
  constexpr Clock::time_point point() const noexcept { return point_; }
  /// Returns whether it has come.
  inline bool passed() const noexcept { return !is_never() && Clock::now() >= point_; }

  /// Returns what is left, never negative; `Clock::duration::max()` if it never comes.
  inline Clock::duration left() const noexcept {
    if (is_never()) return Clock::duration::max();
    const auto now = Clock::now();
    return now < point_ ? point_ - now : Clock::duration::zero();
  }

  constexpr auto operator<=>(const Deadline&) const noexcept = default;

 private:
  Clock::time_point point_ = Clock::time_point::max();
};

}  // namespace net
