/// \file
/// `net.server:coarse_clock`, internal: the clock of limits.
module;

#include <time.h>

module net.server:coarse_clock;

import net.standard;

namespace net {

// The clock of limits: the steady clock to the kernel's tick, which costs a fifth to read. In
// nanoseconds, so that it fits an atomic.
using CoarseTime = std::int64_t;
inline CoarseTime coarse_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return CoarseTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
// The coarse time that far from `from`; a limit of more than a century never comes.
inline CoarseTime coarse_after(CoarseTime from, std::int64_t milliseconds) noexcept {
  constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  // Half of what there is, 146 years: the other half is more than any clock shows.
  return milliseconds > never / 1'000'000 / 2 ? never : from + milliseconds * 1'000'000;
}

}  // namespace net
