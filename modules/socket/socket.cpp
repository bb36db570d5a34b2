module;

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <gsl/assert>
#include <gsl/narrow>
#include <gsl/util>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

module net.socket;

namespace net {
namespace {

// What bind, connect and their like take; the one place where bytes become a sockaddr.
const sockaddr* native_pointer(const Address& address) {
  return reinterpret_cast<const sockaddr*>(address.native().data());
}

socklen_t native_size(const Address& address) {
  return gsl::narrow_cast<socklen_t>(address.native().size());
}

int native_family(Family family) {
  switch (family) {
    case Family::ipv4: return AF_INET;
    case Family::ipv6: return AF_INET6;
    case Family::unix_domain: return AF_UNIX;
    default: return AF_UNSPEC;
  }
}

int native_type(SocketType type) {
  switch (type) {
    case SocketType::datagram: return SOCK_DGRAM;
    case SocketType::sequenced_packet: return SOCK_SEQPACKET;
    case SocketType::stream: break;
  }
  return SOCK_STREAM;
}

std::pair<int, int> level_and_number(SocketOption option) {
  switch (option) {
    case SocketOption::reuse_address: return {SOL_SOCKET, SO_REUSEADDR};
    case SocketOption::reuse_port: return {SOL_SOCKET, SO_REUSEPORT};
    case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::user_timeout: return {IPPROTO_TCP, TCP_USER_TIMEOUT};
    case SocketOption::defer_accept: return {IPPROTO_TCP, TCP_DEFER_ACCEPT};
    case SocketOption::ipv6_only: return {IPPROTO_IPV6, IPV6_V6ONLY};
  }
  return {-1, -1};
}

// poll's timeout, rounded up so that a wait never ends before its deadline; -1 is for ever.
int poll_milliseconds(Deadline deadline) {
  if (deadline.is_never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left()).count();
  return gsl::narrow_cast<int>(
      std::min<std::chrono::milliseconds::rep>(left, std::numeric_limits<int>::max()));
}

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Address name_of(int descriptor, NameCall call, std::string_view what) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (call(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    throw_system_error(errno, what);
  }
  return Address::from_native(std::as_bytes(std::span(&storage, 1)).first(size));
}

}  // namespace

Socket::Socket(Family family, SocketType type)
    : descriptor_(::socket(native_family(family), native_type(type) | SOCK_CLOEXEC, 0)) {
  if (descriptor_ < 0) throw_system_error(errno, "socket");
}

Socket Socket::adopt(int descriptor) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    throw_system_error(errno, "adopt descriptor " + std::to_string(descriptor));
  }
  int listening = 0;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (listening != 0 && ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_system_error(errno, "adopt: fcntl");
  }
  return adopt_unchecked(descriptor);
}

Socket Socket::adopt_unchecked(int descriptor) noexcept {
  Socket socket;
  socket.descriptor_ = descriptor;
  return socket;
}

Socket::Socket(Socket&& other) noexcept { *this = std::move(other); }

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  end_signal_ = other.end_signal_;
  last_receive_ = other.last_receive_;
  receive_timeout_ = other.receive_timeout_;
  send_timeout_ = other.send_timeout_;
  end_quiet_ = other.end_quiet_;
  deadline_ = other.deadline_;
  receive_deadline_ = other.receive_deadline_;
  return *this;
}

Socket::~Socket() { close(); }

void Socket::fail(int error, std::string_view call) const {
  std::string what(call);
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (descriptor_ >= 0 &&
      ::getpeername(descriptor_, reinterpret_cast<sockaddr*>(&storage), &size) == 0 && size > 2) {
    what += " with " +
            Address::from_native(std::as_bytes(std::span(&storage, 1)).first(size)).to_string();
  }
  throw_system_error(error, what);
}

void Socket::bind(const Address& address) {
  if (::bind(descriptor_, native_pointer(address), native_size(address)) != 0) {
    throw_system_error(errno, "bind to " + address.to_string());
  }
}

void Socket::listen(int backlog) {
  // The kernel cuts the backlog to net.core.somaxconn, so the largest number is the maximum.
  const int wanted = backlog <= 0 ? std::numeric_limits<int>::max() : backlog;
  if (::listen(descriptor_, wanted) != 0) throw_system_error(errno, "listen");
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_system_error(errno, "listen: fcntl");
  }
}

std::pair<Socket, Address> Socket::accept() {
  const Deadline limit = receive_limit();
  for (;;) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int descriptor =
        ::accept4(descriptor_, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC);
    if (descriptor >= 0) {
      return {adopt_unchecked(descriptor),
              Address::from_native(std::as_bytes(std::span(&storage, 1)).first(size))};
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) fail(errno, "accept");
    wait(POLLIN, limit, "accept");
  }
}

void Socket::connect(const Address& address, Deadline deadline) {
  const std::string call = "connect to " + address.to_string();
  // Non-blocking for the call alone: there is no MSG_DONTWAIT for connect.
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_system_error(errno, call);
  }
  int error = 0;
  if (::connect(descriptor_, native_pointer(address), native_size(address)) != 0) error = errno;
  // An interrupted connect goes on by itself, like one in progress.
  if (error == EINPROGRESS || error == EINTR) {
    wait(POLLOUT, std::min(deadline, send_limit()), call);
    socklen_t size = sizeof error;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  }
  if (error != 0) throw_system_error(error, call);
  if (::fcntl(descriptor_, F_SETFL, flags) != 0) throw_system_error(errno, call);
}

std::optional<std::size_t> Socket::try_recv(std::span<std::byte> into) {
  if (into.empty()) return 0;
  for (;;) {
    const auto count = ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT);
    if (count >= 0) {
      const auto size = gsl::narrow_cast<std::size_t>(count);
      last_receive_ = size == 0            ? Received::end
                      : size < into.size() ? Received::all
                                           : Received::perhaps_more;
      return size;
    }
    if (errno == EAGAIN) {
      last_receive_ = Received::all;
      return std::nullopt;
    }
    if (errno != EINTR) fail(errno, "receive");
  }
}

std::size_t Socket::recv(std::span<std::byte> into) {
  Deadline limit;
  for (bool first = true;; first = false) {
    if (const auto count = try_recv(into)) return *count;
    if (first) limit = receive_limit();
    if (wait(POLLIN, limit, "receive") == Wait::ended) {
      input_was_ended_ = true;
      last_receive_ = Received::end;
      return 0;
    }
  }
}

std::optional<std::size_t> Socket::try_send(std::span<const std::byte> from) {
  for (;;) {
    const auto count = ::send(descriptor_, from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) return gsl::narrow_cast<std::size_t>(count);
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) fail(errno, "send");
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

void Socket::shutdown(ShutdownHow how) {
  const int native = how == ShutdownHow::read    ? SHUT_RD
                     : how == ShutdownHow::write ? SHUT_WR
                                                 : SHUT_RDWR;
  if (::shutdown(descriptor_, native) != 0 && errno != ENOTCONN) fail(errno, "shutdown");
}

void Socket::close() noexcept {
  // Linux closes even if it reports EINTR; a second close could hit somebody else's descriptor.
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

int Socket::detach() noexcept { return std::exchange(descriptor_, -1); }

Socket Socket::dup() const {
  const int copy = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw_system_error(errno, "dup");
  Socket socket;
  socket.descriptor_ = copy;
  socket.receive_timeout_ = receive_timeout_;
  socket.send_timeout_ = send_timeout_;
  return socket;
}

Address Socket::getsockname() const { return name_of(descriptor_, ::getsockname, "getsockname"); }

Address Socket::getpeername() const { return name_of(descriptor_, ::getpeername, "getpeername"); }

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
}

std::size_t Socket::getsockopt(int level, int option, std::span<std::byte> value) const {
  auto size = gsl::narrow_cast<socklen_t>(value.size());
  if (::getsockopt(descriptor_, level, option, value.data(), &size) != 0) {
    throw_system_error(errno, "getsockopt");
  }
  return size;
}

void Socket::settimeout(std::optional<Duration> timeout) { settimeout(timeout, timeout); }

void Socket::settimeout(std::optional<Duration> receiving, std::optional<Duration> sending) {
  Expects(receiving.value_or(Duration::zero()) >= Duration::zero());
  Expects(sending.value_or(Duration::zero()) >= Duration::zero());
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

std::pair<Socket, Socket> socket_pair(SocketType type) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, native_type(type) | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw_system_error(errno, "socketpair");
  }
  return {Socket::adopt_unchecked(pair[0]), Socket::adopt_unchecked(pair[1])};
}

}  // namespace net
