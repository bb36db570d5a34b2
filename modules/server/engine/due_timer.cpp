module;

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <mutex>

module net.server;

import net.socket;
import :due_timer;
import :forked;
import :poller;

namespace net {

DueTimer::DueTimer()
    : descriptor_(
          above_standard_streams(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK))) {
  if (descriptor_.get() < 0) throw_system_error(errno, "timerfd_create");
  OwnDescriptors::add(fileno());
}

DueTimer::~DueTimer() { OwnDescriptors::remove(fileno()); }

void DueTimer::set(CoarseTime time) noexcept {
  const std::lock_guard lock(mutex_);
  if (time >= set_to_.load(std::memory_order_relaxed)) return;
  set_to_.store(time, std::memory_order_relaxed);
  // Zero would stop the timer. With a time that has passed, it fires at once.
  const CoarseTime at = std::max<CoarseTime>(time, 1);
  itimerspec wanted{};
  wanted.it_value.tv_sec = static_cast<std::time_t>(at / 1'000'000'000);
  wanted.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000);
  ::timerfd_settime(fileno(), TFD_TIMER_ABSTIME, &wanted, nullptr);
}

CoarseTime DueTimer::clear() noexcept {
  std::uint64_t times = 0;
  [[maybe_unused]] const auto got = ::read(fileno(), &times, sizeof times);
  const std::lock_guard lock(mutex_);
  set_to_.store(never, std::memory_order_relaxed);
  return std::chrono::nanoseconds(Deadline::Clock::now().time_since_epoch()).count();
}

void DueTimer::close_in_child() noexcept {
  OwnDescriptors::remove(fileno());
  descriptor_.close();
  set_to_.store(std::numeric_limits<CoarseTime>::min(), std::memory_order_relaxed);
}

}  // namespace net
