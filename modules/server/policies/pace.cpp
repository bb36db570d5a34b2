module;

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>

module net.server;

import :pace;

namespace net {
namespace {

constexpr FineTime microsecond = 1'000;
constexpr FineTime millisecond = 1'000 * microsecond;
constexpr FineTime memory = 1'000 * millisecond;

// A worker is woken if the waiting requests would take at least this long. While handlers block, a
// wake-up is cheap compared with a request that waits behind a blocked handler.
constexpr FineTime price = 50 * microsecond;
constexpr FineTime price_while_blocking = 12 * microsecond;

constexpr FineTime least_patience = 70 * microsecond;
constexpr FineTime most_patience = 10 * millisecond;
constexpr FineTime usual_patience = millisecond;

// For 20 ms after `samples_from_` every handler is sampled, then at most one in each 100 us. So
// sampling costs next to nothing while many handlers run. While few handlers run, each of them is
// sampled, so that handlers that sleep for a second are not missed.
constexpr FineTime samples_each_for = 20 * millisecond;
constexpr FineTime then_samples_each = 100 * microsecond;

constexpr FineTime first_nap = 2 * millisecond;
constexpr FineTime last_nap = 8 * millisecond;
constexpr FineTime shortest_nap = millisecond / 4;

}  // namespace

FineTime fine_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return FineTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool Pace::worth_waking(std::size_t waiting, bool polled, FineTime now) const noexcept {
  const bool blocking = expects_blocking(now);
  const std::size_t things = waiting + (blocking && !polled ? 1 : 0);
  return static_cast<FineTime>(things) * mean_ >= (blocking ? price_while_blocking : price);
}

bool Pace::is_next_sample(FineTime now) noexcept {
  if (now >= samples_from_ + samples_each_for && now < next_sample_) return false;
  next_sample_ = now + then_samples_each;
  return true;
}

void Pace::long_handler_ran(const Ran& ran) noexcept {
  if (ran.end >= samples_until_) samples_from_ = ran.end;
  samples_until_ = ran.end + memory;
  if (ran.slept) {
    if (ran.end >= expects_until_) samples_from_ = ran.end;
    expects_until_ = ran.end + memory;
    patience_ = std::max(least_patience, patience_ / 2);
  } else if (ran.sampled && ran.noticed) {
    patience_ = std::min(most_patience, patience_ / 2 * 3);
  }
}

// Estimates how many handlers are blocked and still count as running: the rate at which handlers
// block, times the least patience, after which each is noticed. The rate is smoothed over 4 ms.
void Pace::tick(FineTime now, std::uint64_t noticed) noexcept {
  constexpr double smoothing = 4.0 * static_cast<double>(millisecond);
  constexpr double tuned = 1.3;  // measured: handlers are noticed a little later than that
  const auto elapsed = static_cast<double>(std::max<FineTime>(now - last_tick_, 1));
  const auto rate = static_cast<double>(noticed - noticed_) / elapsed;
  noticing_rate_ += (rate - noticing_rate_) * std::min(1.0, elapsed / smoothing);
  last_tick_ = now;
  noticed_ = noticed;
  const double unnoticed = noticing_rate_ * static_cast<double>(least_patience) * tuned - 0.5;
  unnoticed_ = unnoticed > 0 ? static_cast<std::size_t>(unnoticed) : 0;
  if (patience_ > usual_patience) patience_ -= patience_ / 16;
}

FineTime Pace::next_tick(FineTime now) noexcept {
  nap_ = expects_blocking(now) ? std::clamp(2 * patience_, shortest_nap, first_nap)
                               : std::clamp(2 * nap_, first_nap, last_nap);
  return nap_;
}

}  // namespace net
