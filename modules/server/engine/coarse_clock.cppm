/// \file
/// `net.server:coarse_clock`, internal: the clock of limits.
module;

#include <time.h>

module net.server:coarse_clock;

import net.standard;

namespace net {

// The clock of limits: the steady clock as of the kernel's last tick. Reading it costs a fifth of
// reading the precise one. In nanoseconds, so that it fits an atomic.
using CoarseTime = std::int64_t;
inline CoarseTime coarse_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return CoarseTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
// Returns the time this many milliseconds after `from`. A limit of more than 146 years never
// expires.
inline CoarseTime coarse_after(CoarseTime from, std::int64_t milliseconds) noexcept {
  constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  // Half of the range is 146 years. No clock shows more than the other half, so the sum cannot
  // overflow.
  return milliseconds > never / 1'000'000 / 2 ? never : from + milliseconds * 1'000'000;
}

}  // namespace net
