/// \file
/// `net.socket:deadline`: the time until which a call may wait.
export module net.socket:deadline;

import net.standard;

export namespace net {

/// A point on the steady clock, so setting the wall clock does not move a deadline. A duration
/// converts to the point that far from now. The default, `Deadline::never()`, is later than all
/// others.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  constexpr Deadline() noexcept = default;
  /// Converts a point on the clock.
  constexpr Deadline(Clock::time_point point) noexcept : point_(point) {}

  /// Converts a duration from now. A duration of a century or more never expires.
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

  /// Returns the deadline that never expires.
  static constexpr Deadline never() noexcept { return {}; }

  /// Returns whether the deadline never expires.
  constexpr bool is_never() const noexcept { return point_ == Clock::time_point::max(); }
  /// Returns the point on the clock; the clock's last point if the deadline never expires.
  constexpr Clock::time_point point() const noexcept { return point_; }
  /// Returns whether the deadline has expired.
  inline bool passed() const noexcept { return !is_never() && Clock::now() >= point_; }

  /// Returns the time that is left, never negative; `Clock::duration::max()` if the deadline never
  /// expires.
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
