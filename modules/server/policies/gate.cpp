module;

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>

module net.server;

import :gate;

namespace net {
namespace {

// The C library has no function for futex(2).
void futex(std::atomic<int>& word, int operation, int value, const timespec* timeout) noexcept {
  static_assert(sizeof word == sizeof(int));
  ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

}  // namespace

void Gate::open() noexcept {
  if (open_.exchange(1, std::memory_order_release) == 0) futex(open_, FUTEX_WAKE, 1, nullptr);
}

void Gate::wait() noexcept {
  while (open_.load(std::memory_order_acquire) == 0) futex(open_, FUTEX_WAIT, 0, nullptr);
}

bool Gate::wait_for(std::int64_t nanoseconds) noexcept {
  if (open_.load(std::memory_order_acquire) != 0) return true;
  const timespec time{.tv_sec = static_cast<std::time_t>(nanoseconds / 1'000'000'000),
                      .tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000)};
  futex(open_, FUTEX_WAIT, 0, &time);
  return open_.load(std::memory_order_acquire) != 0;
}

}  // namespace net
