module;

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <gsl/narrow>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

module net.socket;

import :native;

namespace net {
namespace {

std::pair<int, int> level_and_number(SocketOption option) {
  switch (option) {
    case SocketOption::reuse_address: return {SOL_SOCKET, SO_REUSEADDR};
    case SocketOption::reuse_port: return {SOL_SOCKET, SO_REUSEPORT};
    case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::keep_idle: return {IPPROTO_TCP, TCP_KEEPIDLE};
    case SocketOption::keep_interval: return {IPPROTO_TCP, TCP_KEEPINTVL};
    case SocketOption::keep_count: return {IPPROTO_TCP, TCP_KEEPCNT};
    case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::broadcast: return {SOL_SOCKET, SO_BROADCAST};
    case SocketOption::pass_credentials: return {SOL_SOCKET, SO_PASSCRED};
    case SocketOption::incoming_cpu: return {SOL_SOCKET, SO_INCOMING_CPU};
    case SocketOption::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::cork: return {IPPROTO_TCP, TCP_CORK};
    case SocketOption::quick_ack: return {IPPROTO_TCP, TCP_QUICKACK};
    case SocketOption::user_timeout: return {IPPROTO_TCP, TCP_USER_TIMEOUT};
    case SocketOption::defer_accept: return {IPPROTO_TCP, TCP_DEFER_ACCEPT};
    case SocketOption::ipv6_only: return {IPPROTO_IPV6, IPV6_V6ONLY};
  }
  return {-1, -1};
}

template <class Value>
Value value_of(const Socket& socket, int option) {
  Value value{};
  socket.getsockopt(SOL_SOCKET, option, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace

void Socket::setsockopt(SocketOption option, int value) {
  const auto [level, number] = level_and_number(option);
  setsockopt(level, number, std::as_bytes(std::span(&value, 1)));
}

int Socket::getsockopt(SocketOption option) const {
  const auto [level, number] = level_and_number(option);
  int value = 0;
  getsockopt(level, number, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void Socket::setsockopt(int level, int option, std::span<const std::byte> value) {
  if (::setsockopt(descriptor_, level, option, value.data(),
                   gsl::narrow_cast<socklen_t>(value.size())) != 0) {
    throw_system_error(errno, "setsockopt");
  }
  // From now on, the timeout belongs to the caller.
  if (level == SOL_SOCKET && option == SO_RCVTIMEO) {
    waits_in_receive_ = false;
    kernel_timeout_ = no_timeout;
  }
}

std::size_t Socket::getsockopt(int level, int option, std::span<std::byte> value) const {
  auto size = gsl::narrow_cast<socklen_t>(value.size());
  if (::getsockopt(descriptor_, level, option, value.data(), &size) != 0) {
    throw_system_error(errno, "getsockopt");
  }
  return size;
}

Family Socket::family() const { return family_of(value_of<int>(*this, SO_DOMAIN)); }

SocketType Socket::type() const {
  const auto known = type_of(value_of<int>(*this, SO_TYPE));
  if (!known) throw_system_error(EOPNOTSUPP, "socket type");
  return *known;
}

bool Socket::listening() const { return value_of<int>(*this, SO_ACCEPTCONN) != 0; }

PeerCredentials Socket::peer_credentials() const {
  const auto credentials = value_of<ucred>(*this, SO_PEERCRED);
  // The kernel returns credentials for every socket; this user ID means that there are none.
  if (credentials.uid == std::numeric_limits<uid_t>::max()) {
    throw_system_error(family() == Family::unix_domain ? ENOTCONN : EOPNOTSUPP, "peer credentials");
  }
  return {credentials.pid, credentials.uid, credentials.gid};
}

void Socket::set_linger(std::optional<std::chrono::seconds> time) {
  const auto seconds = time.value_or(std::chrono::seconds::zero()).count();
  if (seconds < 0) {
    throw_system_error(
        EINVAL, "a linger time of " + std::to_string(seconds) + " s, which must be 0 or more");
  }
  constexpr std::chrono::seconds::rep most = std::numeric_limits<int>::max();
  const linger value{time ? 1 : 0, gsl::narrow_cast<int>(std::min(seconds, most))};
  setsockopt(SOL_SOCKET, SO_LINGER, std::as_bytes(std::span(&value, 1)));
}

std::optional<std::chrono::seconds> Socket::get_linger() const {
  const auto value = value_of<linger>(*this, SO_LINGER);
  if (value.l_onoff == 0) return std::nullopt;
  return std::chrono::seconds(value.l_linger);
}

void Socket::set_inheritable(bool inheritable) {
  if (::fcntl(descriptor_, F_SETFD, inheritable ? 0 : FD_CLOEXEC) != 0) {
    throw_system_error(errno, "set_inheritable");
  }
}

bool Socket::inheritable() const {
  const int flags = ::fcntl(descriptor_, F_GETFD);
  if (flags < 0) throw_system_error(errno, "inheritable");
  return (flags & FD_CLOEXEC) == 0;
}

}  // namespace net
