module;

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <gsl/util>
#include <optional>
#include <string>
#include <string_view>

module net.socket;

import :native;
import :waiting;

namespace net {

void Socket::settimeout(std::optional<Duration> timeout) { settimeout(timeout, timeout); }

void Socket::settimeout(std::optional<Duration> receiving, std::optional<Duration> sending) {
  for (const auto& timeout : {receiving, sending}) {
    if (!timeout || *timeout >= Duration::zero()) continue;
    throw_system_error(EINVAL, "a timeout of " + std::to_string(timeout->count()) +
                                   " ns, which must be 0 or more");
  }
  receive_timeout_ = receiving.value_or(no_timeout);
  send_timeout_ = sending.value_or(no_timeout);
}

std::optional<Socket::Duration> Socket::gettimeout() const noexcept {
  if (receive_timeout_ == no_timeout) return std::nullopt;
  return receive_timeout_;
}

void Socket::end_input_on(int signal, Duration quiet) noexcept {
  end_signal_ = signal;
  end_quiet_ = quiet;
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
  const Deadline each = send_timeout_ == no_timeout ? Deadline::never() : Deadline(send_timeout_);
  return std::min(each, deadline_);
}

Socket::Wait Socket::poll(short events, Deadline deadline) const {
  // poll(2) would pass over it, and wait.
  if (descriptor_ < 0) fail(EBADF, "poll");
  const bool receiving = events == POLLIN;
  std::array<pollfd, 3> polled{
      {{descriptor_, events, 0}, {end_signal_, POLLIN, 0}, {end_at_once_, POLLIN, 0}}};
  if (receiving) note_silence(Deadline::Clock::now().time_since_epoch().count());
  const auto heard = gsl::finally([&] {
    if (receiving) note_silence(0);
  });
  bool quiet_first = false;
  for (;;) {
    const int ready = ::poll(polled.data(), receiving ? 3 : 1, poll_milliseconds(deadline));
    if (ready < 0 && errno != EINTR) fail(errno, "poll");
    if (ready > 0 && polled[0].revents != 0) return Wait::ready;
    if (ready > 0 && polled[2].revents != 0) return Wait::ended;
    if (ready > 0) {
      // The server drains: from here on, silence ends the input.
      polled[1].fd = -1;
      const Deadline quiet(end_quiet_);
      quiet_first = quiet <= deadline;
      deadline = std::min(deadline, quiet);
    } else if (deadline.passed()) {
      return quiet_first ? Wait::ended : Wait::late;
    }
  }
}

Socket::Wait Socket::wait(short events, Deadline deadline, std::string_view call) const {
  if ((events == POLLIN ? receive_timeout_ : send_timeout_) == Duration::zero()) {
    fail(EWOULDBLOCK, call);
  }
  const Wait outcome = poll(events, deadline);
  if (outcome == Wait::late) fail(ETIMEDOUT, call);
  return outcome;
}

bool Socket::wait_to_receive(Deadline deadline) { return poll(POLLIN, deadline) == Wait::ready; }

Operation::Operation(Socket& socket, std::string_view call, Deadline deadline)
    : socket_(socket), call_(call), limit_(std::min(deadline, socket.send_limit())) {}

void Operation::note(Socket::Received received) noexcept {
  // Several threads may be here, of a datagram socket, and nobody waits for its edges.
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
  socket_.input_was_ended_ = true;
  note(Socket::Received::end);
  return false;
}

void Operation::go_on_sending(int error) {
  if (error == EINTR) return;
  if (error != EAGAIN) fail(error);
  if (!limit_) limit_ = socket_.send_limit();
  socket_.wait(POLLOUT, *limit_, call_);
  if (to_ != nullptr && to_->family() == Family::unix_domain) wait_for_receiver(*limit_);
}

// To poll, a Unix socket that is not connected has room however full its receiver is. One that is
// connected to the receiver tells.
void Operation::wait_for_receiver(Deadline limit) const {
  Socket connected(Family::unix_domain, socket_.type());
  connected.connect(*to_);
  if (connected.poll(POLLOUT, limit) == Socket::Wait::late) fail(ETIMEDOUT);
}

bool Operation::waits_to_send() const noexcept {
  return socket_.send_timeout_ != Socket::Duration::zero();
}

void Operation::fail(int error) const {
  if (to_ == nullptr) socket_.fail(error, call_);
  throw_system_error(error, std::string(call_) + " to " + to_->to_string());
}

}  // namespace net
