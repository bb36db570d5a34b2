module;

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <gsl/narrow>
#include <optional>
#include <span>
#include <utility>

module net.socket;

import :native;
import :waiting;

// Sending and receiving on a socket: a part of net.socket:socket.

namespace net {

std::optional<std::size_t> Socket::try_recv(std::span<std::byte> into) {
  if (into.empty()) return 0;
  if (may_get_descriptors_) return try_recv_message(into);
  for (;;) {
    const auto count = ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT);
    if (count >= 0) [[likely]] {
      const auto size = gsl::narrow_cast<std::size_t>(count);
      note_received(size, into.size());
      return size;
    }
    if (!receives_again()) return std::nullopt;
  }
}

// Called after a failed receive. Returns whether to retry at once; false if the receive would
// block. Throws other errors.
[[gnu::noinline]] bool Socket::receives_again() {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) fail(errno, "receive");
  last_receive_ = Received::all;
  return false;
}

[[gnu::noinline]] bool Socket::sends_again() const {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) fail(errno, "send");
  return false;
}

// Receives with recvmsg(2), since recv(2) does not report that it dropped descriptors.
[[gnu::noinline]] std::optional<std::size_t> Socket::try_recv_message(std::span<std::byte> into) {
  iovec buffer{.iov_base = into.data(), .iov_len = into.size()};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  for (;;) {
    const auto count = ::recvmsg(descriptor_, &message, MSG_DONTWAIT);
    if (count >= 0) {
      const auto size = gsl::narrow_cast<std::size_t>(count);
      note_received(size, into.size());
      if (size != 0 && (message.msg_flags & MSG_CTRUNC) != 0) {
        last_receive_ = Received::perhaps_more;
      }
      return size;
    }
    if (!receives_again()) return std::nullopt;
  }
}

std::size_t Socket::recv(std::span<std::byte> into) {
  Deadline limit;
  bool limited = false;
  if (may_wait_in_receive()) {
    if (const auto count = receive_or_wait(into, limit)) return *count;
    limited = true;
  }
  for (;; limited = true) {
    if (const auto count = try_recv(into)) return *count;
    if (!limited) limit = receive_limit();
    if (wait(POLLIN, limit, "receive") == Wait::ended) {
      last_receive_ = Received::end;
      return 0;
    }
  }
}

std::optional<std::size_t> Socket::try_send(std::span<const std::byte> from) {
  for (;;) {
    const auto count = ::send(descriptor_, from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) [[likely]] {
      const auto size = gsl::narrow_cast<std::size_t>(count);
      note_sent(size);
      return size;
    }
    if (!sends_again()) return std::nullopt;
  }
}

std::size_t Socket::send(std::span<const std::byte> from) {
  Deadline limit;
  for (bool first = true;; first = false) {
    if (const auto count = try_send(from)) return *count;
    if (first) limit = send_limit();
    wait(POLLOUT, limit, "send");
  }
}

void Socket::sendall(std::span<const std::byte> from, Deadline deadline) {
  const Deadline limit = std::min(deadline, send_limit());
  while (!from.empty()) {
    if (const auto count = try_send(from)) {
      from = from.subspan(*count);
    } else {
      wait(POLLOUT, limit, "send");
    }
  }
}

std::pair<std::size_t, Address> Socket::recvfrom(std::span<std::byte> into) {
  Operation operation(*this, "receive");
  for (;;) {
    NativeAddress sender;
    const auto count = ::recvfrom(descriptor_, into.data(), into.size(), MSG_DONTWAIT,
                                  sender.pointer(), sender.size());
    if (count >= 0) {
      const auto size = gsl::narrow_cast<std::size_t>(count);
      operation.note(Received::perhaps_more, size);
      return {size, sender.address()};
    }
    if (!operation.goes_on_receiving(errno)) return {};
  }
}

std::size_t Socket::sendto(std::span<const std::byte> from, const Address& to) {
  Operation operation(*this, "send", &to);
  for (;;) {
    const auto count = ::sendto(descriptor_, from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                native_pointer(to), native_size(to));
    if (count >= 0) {
      operation.note_sent(gsl::narrow_cast<std::size_t>(count));
      return gsl::narrow_cast<std::size_t>(count);
    }
    operation.go_on_sending(errno);
  }
}

}  // namespace net
