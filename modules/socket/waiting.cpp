module;

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <gsl/assert>
#include <gsl/narrow>
#include <gsl/util>
#include <optional>
#include <span>
#include <string>
#include <string_view>

module net.socket;

import :native;
import :waiting;

namespace net {
namespace {

using std::chrono::nanoseconds;

// CLOCK_MONOTONIC_COARSE costs a fifth of CLOCK_MONOTONIC, and is exact enough for a time that is
// only recorded. It must not bound a wait: it can lag by more than the tick that clock_getres(2)
// returns. On a virtual machine with late ticks it lagged by three ticks.
nanoseconds now(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

void check_time(const std::optional<Socket::Duration>& time) {
  if (!time || *time >= Socket::Duration::zero()) return;
  throw_system_error(
      EINVAL, "a timeout of " + std::to_string(time->count()) + " ns, which must be 0 or more");
}

}  // namespace

void Socket::settimeout(std::optional<Duration> timeout) { settimeout(timeout, timeout); }

void Socket::settimeout(std::optional<Duration> receiving, std::optional<Duration> sending) {
  check_time(receiving);
  check_time(sending);
  receive_timeout_ = receiving.value_or(no_timeout);
  send_timeout_ = sending.value_or(no_timeout);
}

std::optional<Socket::Duration> Socket::gettimeout() const noexcept {
  if (receive_timeout_ == no_timeout) return std::nullopt;
  return receive_timeout_;
}

void Socket::end_input_after(std::optional<Duration> quiet) {
  check_time(quiet);
  end_quiet_ = quiet.value_or(no_timeout);
}

void Socket::note_silence(std::int64_t since) const noexcept {
  if (silent_since_ != nullptr) silent_since_->store(since, std::memory_order_relaxed);
}

Deadline Socket::receive_limit() const {
  const Deadline each =
      receive_timeout_ == no_timeout ? Deadline::never() : Deadline(receive_timeout_);
  return std::min({each, deadline_, receive_deadline_});
}

Deadline Socket::send_limit() const {
  // With `set_send_by_progress`, the timeout applies to each wait instead.
  const bool none = send_timeout_ == no_timeout || send_by_progress_;
  return std::min(none ? Deadline::never() : Deadline(send_timeout_), deadline_);
}

// poll reports buffer space only when a large part of the buffer is free, and a slow peer may need
// longer than the timeout for that. So this function also checks the send queue, four times in each
// timeout. A peer that stops taking bytes is noticed at most a quarter of the timeout late.
Socket::Wait Socket::wait_for_progress(Deadline deadline) const {
  const auto queued = [this] {
    int bytes = 0;
    return ::ioctl(descriptor_, TIOCOUTQ, &bytes) == 0 ? bytes : 0;
  };
  const Duration between_looks =
      std::max<Duration>(send_timeout_ / 4, std::chrono::milliseconds(1));
  int before = queued();
  Deadline without_progress(send_timeout_);
  for (;;) {
    const Wait outcome =
        poll(POLLOUT, std::min({deadline, without_progress, Deadline(between_looks)}));
    if (outcome != Wait::late || deadline.passed()) return outcome;
    const int now = queued();
    if (now < before) {
      without_progress = send_timeout_;
    } else if (without_progress.passed()) {
      return Wait::late;
    }
    before = now;
  }
}

Socket::Wait Socket::poll(short events, Deadline deadline) const {
  // poll(2) would ignore a negative descriptor, and wait.
  if (descriptor_ < 0) fail(EBADF, "poll");
  const bool receiving = events == POLLIN;
  bool quiet_first = false;
  if (receiving && end_quiet_ != no_timeout) {
    const Deadline quiet(end_quiet_);
    quiet_first = quiet <= deadline;
    deadline = std::min(deadline, quiet);
  }
  if (receiving) note_silence(now(CLOCK_MONOTONIC_COARSE).count());
  const auto heard = gsl::finally([&] {
    if (receiving) note_silence(0);
  });
  for (pollfd polled{descriptor_, events, 0};;) {
    const int ready = ::poll(&polled, 1, poll_milliseconds(deadline));
    if (ready < 0 && errno != EINTR) fail(errno, "poll");
    if (ready > 0) return Wait::ready;
    if (deadline.passed()) return quiet_first ? Wait::ended : Wait::late;
  }
}

Socket::Wait Socket::wait(short events, Deadline deadline, std::string_view call) const {
  if ((events == POLLIN ? receive_timeout_ : send_timeout_) == Duration::zero()) {
    fail(EWOULDBLOCK, call);
  }
  const bool by_progress = events == POLLOUT && send_by_progress_ && send_timeout_ != no_timeout;
  const Wait outcome = by_progress ? wait_for_progress(deadline) : poll(events, deadline);
  if (outcome == Wait::late) fail(ETIMEDOUT, call);
  return outcome;
}

// --- waiting in recv(2) ------------------------------------------------------------------------

void Socket::wait_in_receive(bool on) noexcept {
  waits_in_receive_ = on;
  if (!on) set_kernel_timeout(no_timeout);
}

// The kernel supports only a timeout, no deadline.
bool Socket::may_wait_in_receive() const noexcept {
  return waits_in_receive_ && receive_timeout_ != Duration::zero() && end_quiet_ == no_timeout &&
         deadline_.is_never() && receive_deadline_.is_never();
}

bool Socket::set_kernel_timeout(Duration timeout) const noexcept {
  if (kernel_timeout_ == timeout) return true;
  timeval time{};  // no timeout
  if (timeout != no_timeout) {
    // Rounded up, since zero would mean no timeout.
    const auto whole = std::chrono::ceil<std::chrono::microseconds>(timeout);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(whole);
    time = {.tv_sec = static_cast<std::time_t>(seconds.count()),
            .tv_usec = static_cast<suseconds_t>((whole - seconds).count())};
  }
  if (::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0) return false;
  kernel_timeout_ = timeout;
  return true;
}

// Returns nothing if the caller must poll for the rest of the wait, until `limit`: SO_RCVTIMEO
// could not be set, the timeout expired, a signal interrupted the call, the descriptor was made
// non-blocking, or the kernel waited for too short a time.
std::optional<std::size_t> Socket::receive_or_wait(std::span<std::byte> into, Deadline& limit) {
  if (into.empty()) return 0;
  const bool endless = receive_timeout_ == no_timeout || receive_timeout_ > std::chrono::years(100);
  if (!set_kernel_timeout(endless ? no_timeout : receive_timeout_)) {
    limit = receive_limit();
    return std::nullopt;
  }
  const nanoseconds begin = now(endless ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC);
  note_silence(begin.count());
  const auto count = ::recv(descriptor_, into.data(), into.size(), 0);
  const int error = errno;
  note_silence(0);
  if (count >= 0) {
    const auto size = gsl::narrow_cast<std::size_t>(count);
    note_received(size, into.size());
    return size;
  }
  if (error != EAGAIN && error != EINTR) fail(error, "receive");
  if (!endless) limit = Deadline::Clock::time_point(begin + receive_timeout_);
  return std::nullopt;
}

bool Socket::wait_to_receive(Deadline deadline) { return poll(POLLIN, deadline) == Wait::ready; }

Operation::Operation(Socket& socket, std::string_view call, Deadline deadline)
    : socket_(socket), call_(call), limit_(std::min(deadline, socket.send_limit())) {}

void Operation::note(Socket::Received received, std::size_t size) noexcept {
  if (size != 0 && socket_.watch_counts_) socket_.watch_->received(size);
  // Several threads may call this for one datagram socket, and none uses edge-triggered polling on
  // it.
  if (socket_.type_ == SocketType::datagram || socket_.type_ == SocketType::raw) return;
  socket_.last_receive_ = received;
}

bool Operation::takes_a_stream() const {
  return (socket_.type_ ? *socket_.type_ : socket_.type()) == SocketType::stream;
}

bool Operation::goes_on_receiving(int error) {
  if (error == EINTR) return true;
  if (error != EAGAIN) fail(error);
  note(Socket::Received::all);
  if (!limit_) limit_ = socket_.receive_limit();
  if (socket_.wait(POLLIN, *limit_, call_) == Socket::Wait::ready) return true;
  note(Socket::Received::end);
  return false;
}

void Operation::go_on_sending(int error) {
  if (error == EINTR) return;
  if (error != EAGAIN) fail(error);
  if (!limit_) limit_ = socket_.send_limit();
  socket_.wait(POLLOUT, *limit_, call_);
  // A socket of another type is connected, and waits for its own peer.
  const bool unconnected = to_ != nullptr && to_->family() == Family::unix_domain &&
                           socket_.type() == SocketType::datagram;
  if (unconnected) wait_for_receiver(*limit_);
}

// For an unconnected Unix socket, poll reports buffer space even if the queue of the receiver is
// full. For a socket that is connected to the receiver, poll checks that queue as well.
void Operation::wait_for_receiver(Deadline limit) const {
  Socket connected(Family::unix_domain, socket_.type());
  connected.connect(*to_);
  if (connected.poll(POLLOUT, limit) == Socket::Wait::late) fail(ETIMEDOUT);
}

Deadline Operation::limit_of_one_wait() const {
  const Deadline limit = limit_.value_or(Deadline::never());
  if (!socket_.send_by_progress_ || socket_.send_timeout_ == Socket::no_timeout) return limit;
  return std::min(limit, Deadline(socket_.send_timeout_));
}

bool Operation::waits_to_send() const noexcept {
  return socket_.send_timeout_ != Socket::Duration::zero();
}

void Operation::fail(int error) const {
  if (to_ == nullptr) socket_.fail(error, call_);
  throw_system_error(error, std::string(call_) + " to " + to_->to_string());
}

}  // namespace net
