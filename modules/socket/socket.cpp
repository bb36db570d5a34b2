module;

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <gsl/narrow>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

module net.socket;

import :native;
import :waiting;

namespace net {
namespace {

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Address name_of(int descriptor, NameCall call, std::string_view what) {
  NativeAddress name;
  if (call(descriptor, name.pointer(), name.size()) != 0) throw_system_error(errno, what);
  return name.address();
}

}  // namespace

Socket::Socket(Family family, SocketType type, int protocol) : type_(type) {
  // Only packet sockets need this number in network byte order.
  if (family == Family::packet) protocol = htons(gsl::narrow_cast<std::uint16_t>(protocol));
  descriptor_ = above_standard_streams(
      ::socket(native_family(family), native_type(type) | SOCK_CLOEXEC, protocol));
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
  return adopt_unchecked(descriptor, type_of(type));
}

Socket Socket::adopt(Descriptor descriptor) {
  Socket socket = adopt(descriptor.get());
  descriptor.release();
  return socket;
}

Socket Socket::adopt_unchecked(int descriptor, std::optional<SocketType> type) noexcept {
  Socket socket;
  socket.descriptor_ = descriptor;
  socket.type_ = type;
  return socket;
}

Socket::Socket(Socket&& other) noexcept { *this = std::move(other); }

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = other.release(false);
  type_ = other.type_;
  last_receive_ = other.last_receive_;
  receive_timeout_ = other.receive_timeout_;
  send_timeout_ = other.send_timeout_;
  waits_in_receive_ = other.waits_in_receive_;
  kernel_timeout_ = other.kernel_timeout_;
  end_quiet_ = other.end_quiet_;
  send_by_progress_ = other.send_by_progress_;
  may_get_descriptors_ = other.may_get_descriptors_;
  deadline_ = other.deadline_;
  receive_deadline_ = other.receive_deadline_;
  return *this;
}

Socket::~Socket() { close(); }

void Socket::fail(int error, std::string_view call) const {
  std::string what(call);
  NativeAddress peer;
  // An unnamed Unix peer would only lengthen the text.
  if (descriptor_ >= 0 && ::getpeername(descriptor_, peer.pointer(), peer.size()) == 0 &&
      *peer.size() > sizeof(sa_family_t) &&
      family_of(peer.pointer()->sa_family) != Family::unspecified) {
    what += " with " + peer.address().to_string();
  }
  throw_system_error(error, what);
}

void Socket::bind(const Address& address) {
  if (::bind(descriptor_, native_pointer(address), native_size(address)) != 0) {
    throw_system_error(errno, "bind to " + address.to_string());
  }
}

void Socket::listen(int backlog) {
  // The kernel limits the backlog to net.core.somaxconn, so the largest number gives the maximum.
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
    NativeAddress peer;
    const int descriptor =
        above_standard_streams(::accept4(descriptor_, peer.pointer(), peer.size(), SOCK_CLOEXEC));
    if (descriptor >= 0) {
      return {adopt_unchecked(descriptor, type_), peer.address()};
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) fail(errno, "accept");
    wait(POLLIN, limit, "accept");
  }
}

void Socket::connect(const Address& address, Deadline deadline) {
  const std::string call = "connect to " + address.to_string();
  if (address.family() == Family::unix_domain) {
    connect_to_path(address, std::min(deadline, send_limit()), call);
    return;
  }
  // Non-blocking only during the call: connect has no MSG_DONTWAIT.
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_system_error(errno, call);
  }
  int error = 0;
  if (::connect(descriptor_, native_pointer(address), native_size(address)) != 0) error = errno;
  // An interrupted connect continues in the background, like one in progress.
  if (error == EINPROGRESS || error == EINTR) {
    wait(POLLOUT, std::min(deadline, send_limit()), call);
    socklen_t size = sizeof error;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  }
  if (error != 0) throw_system_error(error, call);
  if (::fcntl(descriptor_, F_SETFL, flags) != 0) throw_system_error(errno, call);
}

// A non-blocking Unix socket does not start to connect while the queue of the listener is full, and
// poll does not report when there is space again. So this blocks, at most until the deadline.
void Socket::connect_to_path(const Address& address, Deadline deadline, std::string_view call) {
  const bool waits = send_timeout_ != Duration::zero();
  const auto set_time = [&](timeval time) {
    setsockopt(SOL_SOCKET, SO_SNDTIMEO, std::as_bytes(std::span(&time, 1)));
  };
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 ||
      ::fcntl(descriptor_, F_SETFL, waits ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0) {
    throw_system_error(errno, call);
  }
  for (;;) {
    if (!deadline.is_never()) {
      const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline.left()).count();
      // A timeout of zero would mean forever.
      set_time({.tv_sec = static_cast<time_t>(left / 1'000'000),
                .tv_usec = static_cast<suseconds_t>(std::max<std::int64_t>(left % 1'000'000, 1))});
    }
    const int error =
        ::connect(descriptor_, native_pointer(address), native_size(address)) == 0 ? 0 : errno;
    if (error == 0) break;
    if (error != EINTR && error != EAGAIN) throw_system_error(error, call);
    if (!waits) throw_system_error(EWOULDBLOCK, call);
    if (deadline.passed()) throw_system_error(ETIMEDOUT, call);
  }
  if (!deadline.is_never()) set_time({});
  if (::fcntl(descriptor_, F_SETFL, flags) != 0) throw_system_error(errno, call);
}

void Socket::shutdown(ShutdownHow how) {
  const int native = how == ShutdownHow::read    ? SHUT_RD
                     : how == ShutdownHow::write ? SHUT_WR
                                                 : SHUT_RDWR;
  if (::shutdown(descriptor_, native) != 0 && errno != ENOTCONN) fail(errno, "shutdown");
}

void Socket::close() noexcept {
  // Linux closes the descriptor even if it reports EINTR. A second close could close a descriptor
  // that another thread has just opened.
  if (const int released = release(true); released >= 0) ::close(released);
}

int Socket::detach() noexcept {
  wait_in_receive(false);
  return release(false);
}

int Socket::release(bool closing) noexcept {
  if (descriptor_ < 0) return -1;
  const int released =
      watch_ != nullptr ? watch_->before_release(descriptor_, closing) : descriptor_;
  descriptor_ = -1;
  return released;
}

Socket Socket::dup() const {
  const int copy = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  // EINVAL: the limit of descriptors allows no number above 2.
  if (copy < 0) throw_system_error(errno == EINVAL ? EMFILE : errno, "dup");
  // The copy refers to the same socket, and would share its timeout.
  waits_in_receive_ = false;
  set_kernel_timeout(no_timeout);
  Socket socket;
  socket.descriptor_ = copy;
  socket.receive_timeout_ = receive_timeout_;
  socket.send_timeout_ = send_timeout_;
  socket.type_ = type_;
  return socket;
}

Address Socket::getsockname() const { return name_of(descriptor_, ::getsockname, "getsockname"); }

Address Socket::getpeername() const { return name_of(descriptor_, ::getpeername, "getpeername"); }

std::pair<Socket, Socket> socket_pair(SocketType type) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, native_type(type) | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw_system_error(errno, "socketpair");
  }
  std::pair<Socket, Socket> sockets;
  // `second` takes its descriptor first, so that it is closed if the first one cannot be moved.
  sockets.second = Socket::adopt_unchecked(pair[1], type);
  sockets.first = Socket::adopt_unchecked(above_standard_streams(pair[0]), type);
  if (sockets.first.fileno() < 0) throw_system_error(errno, "socketpair");
  sockets.second = Socket::adopt_unchecked(above_standard_streams(sockets.second.detach()), type);
  if (sockets.second.fileno() < 0) throw_system_error(errno, "socketpair");
  return sockets;
}

}  // namespace net
