module;

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <gsl/narrow>
#include <limits>
#include <memory>
#include <span>
#include <utility>

module net.server;

import net.socket;
import :forked;
import :poller;

namespace net {

Wakeup::Wakeup() : descriptor_(above_standard_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
  if (descriptor_.get() < 0) throw_system_error(errno, "eventfd");
}

void Wakeup::signal() noexcept {
  // A signal handler must not change errno for the code it interrupted.
  const int saved = errno;
  const std::uint64_t one = 1;
  // The write can only fail if the counter is full. The eventfd is readable then, which is all that
  // is needed.
  [[maybe_unused]] const auto written = ::write(descriptor_.get(), &one, sizeof one);
  errno = saved;
}

void Wakeup::clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(descriptor_.get(), &count, sizeof count);
}

Watch::~Watch() = default;

// On the heap, not on the stack of `dispatch`: if another thread forks during a dispatch, the child
// may reuse the memory of that stack, but its `remove` still reads the batch.
struct Poller::Batch {
  std::array<epoll_event, 64> room{};
  std::span<epoll_event> dispatching;
};

Poller::Poller()
    : descriptor_(above_standard_streams(::epoll_create1(EPOLL_CLOEXEC))),
      batch_(std::make_unique<Batch>()) {
  if (descriptor_.get() < 0) throw_system_error(errno, "epoll_create1");
  OwnDescriptors::add(descriptor_.get());
}

Poller::~Poller() { close(); }

void Poller::close() noexcept {
  OwnDescriptors::remove(descriptor_.get());
  descriptor_.close();
}

void Poller::take_number_of(Poller& other) {
  if (::dup3(fileno(), other.fileno(), O_CLOEXEC) < 0) throw_system_error(errno, "dup3");
  close();
  descriptor_ = std::move(other.descriptor_);
}

void Poller::add(int descriptor, Watch& watch) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watch}};
  if (::epoll_ctl(descriptor_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    throw_system_error(errno, "epoll_ctl");
  }
}

bool Poller::arm(int descriptor, Watch& watch, bool armed) noexcept {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watch}};
  const int operation = armed ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
  return ::epoll_ctl(descriptor_.get(), operation, descriptor, &event) == 0;
}

void Poller::remove(int descriptor, const Watch& watch) noexcept {
  ::epoll_ctl(descriptor_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  for (epoll_event& event : batch_->dispatching) {
    if (event.data.ptr == &watch) event.data.ptr = nullptr;
  }
}

std::size_t Poller::dispatch(Deadline deadline, std::size_t most) {
  const auto room = std::span(batch_->room).first(std::min(most, batch_->room.size()));
  batch_->dispatching = wait_for_events(fileno(), room, deadline);
  const std::size_t count = batch_->dispatching.size();
  for (const epoll_event& event : batch_->dispatching) {
    if (event.data.ptr != nullptr) static_cast<Watch*>(event.data.ptr)->ready(event.events);
  }
  batch_->dispatching = {};
  return count;
}

std::span<epoll_event> wait_for_events(int epoll, std::span<epoll_event> room, Deadline deadline) {
  int timeout = -1;
  if (!deadline.is_never()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left()).count();
    timeout = gsl::narrow_cast<int>(
        std::min<std::chrono::milliseconds::rep>(left, std::numeric_limits<int>::max()));
  }
  const int count = ::epoll_wait(epoll, room.data(), gsl::narrow_cast<int>(room.size()), timeout);
  if (count < 0 && errno != EINTR) throw_system_error(errno, "epoll_wait");
  return room.first(gsl::narrow_cast<std::size_t>(std::max(count, 0)));
}

}  // namespace net
