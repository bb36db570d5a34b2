// Clients with connections: TCP, or a Unix socket.
#pragma once

#include <netinet/tcp.h>
#include <sys/un.h>

#include <span>

#include "load_connection.hpp"
#include "load_options.hpp"

class Streams {
 public:
  static constexpr bool may_lose = false;

  Streams(const LoadOptions& options, const Pattern&, int epoll)
      : loopback_(options.port),
        epoll_(epoll),
        size_(options.message_size()),
        may_be_marked_(options.regime > 0),
        buffer_(size_ + 1) {
    if (options.unix_path.empty()) return;
    unix_ = true;
    unix_address_.sun_family = AF_UNIX;
    if (options.unix_path.size() >= sizeof unix_address_.sun_path) {
      throw std::runtime_error("the path is too long for a socket");
    }
    options.unix_path.copy(unix_address_.sun_path, options.unix_path.size());
  }

  void ask(Connection& connection) {
    if (connection.descriptor < 0) connect(connection);
    push(connection);
  }

  // Receives the bytes that have arrived. Returns whether the answer is complete.
  bool receive(Connection& connection) {
    if (connection.busy) push(connection);
    const std::size_t wanted = connection.busy ? size_ - connection.received : 0;
    // One byte more than wanted, to detect bytes that were not requested.
    const auto count = ::recv(connection.descriptor, buffer_.data(), wanted + 1, 0);
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) fail_by_errno(connection, "lost");
    if (count == 0) fail(connection, "lost: the server has closed it");
    const auto size = static_cast<std::size_t>(count);
    if (size > wanted) fail(connection, "more bytes came than were asked for");
    const char* const expected = connection.message + connection.received;
    if (may_be_marked_ && connection.received == 0 && size > 0) {
      connection.slept = buffer_[0] == static_cast<char>(~expected[0]);
      if (connection.slept) buffer_[0] = expected[0];
    }
    if (std::memcmp(buffer_.data(), expected, size) != 0) {
      fail_wrong_byte(connection, expected, buffer_.data(), size);
    }
    connection.received += size;
    // A short read has emptied the socket. The next byte, or the end, is an event of its own.
    return connection.received == size_;
  }

 private:
  void connect(Connection& connection) {
    connection.descriptor =
        ::socket(unix_ ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.descriptor < 0) fail_by_errno(connection, "socket");
    if (unix_) {
      if (::connect(connection.descriptor, reinterpret_cast<sockaddr*>(&unix_address_),
                    sizeof unix_address_) != 0) {
        fail_by_errno(connection, "connect");
      }
      watch(epoll_, EPOLL_CTL_ADD, connection, input_edges);
    } else {
      const int yes = 1;
      ::setsockopt(connection.descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      loopback_.connect(connection);
      watch(epoll_, EPOLL_CTL_ADD, connection, input_edges | EPOLLOUT);
    }
  }

  // Sends as much as fits. The rest, or everything while the connection is still being made, is
  // sent at the next event.
  void push(Connection& connection) {
    while (connection.sent < size_) {
      const auto count = ::send(connection.descriptor, connection.message + connection.sent,
                                size_ - connection.sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN) {
        // A Unix socket would report buffer space whenever the server has read, so it is watched
        // for that only now.
        if (unix_) watch(epoll_, EPOLL_CTL_MOD, connection, input_edges | EPOLLOUT);
        return;
      }
      if (count < 0) fail_by_errno(connection, "lost");
      connection.sent += static_cast<std::size_t>(count);
    }
  }

  static constexpr std::uint32_t input_edges = EPOLLIN | EPOLLRDHUP | EPOLLET;

  Loopback loopback_;
  bool unix_ = false;
  sockaddr_un unix_address_{};
  const int epoll_;
  const std::size_t size_;
  const bool may_be_marked_;
  std::vector<char> buffer_;
};
