// The state of each client of the load generator, and the bytes that a client sends.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

inline constexpr std::chrono::seconds patience{20};  // with a server that does not answer

// The bytes of each request. They differ from one connection and from one request to the next, so
// that an answer to another request, or a late one, is detected. They are made in advance, so that
// they cost nothing.
class Pattern {
 public:
  explicit Pattern(std::size_t size) : bytes_(size + variants) {
    std::uint64_t state = 1;
    for (char& byte : bytes_) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<char>(state >> 56);
    }
  }
  const char* message(std::uint64_t connection, std::uint64_t request) const {
    return bytes_.data() + (connection * 7919 + request * 104729) % variants;
  }

 private:
  static constexpr std::size_t variants = 65521;  // a prime
  std::vector<char> bytes_;
};

struct Connection {
  std::size_t number = 0;
  int descriptor = -1;
  bool busy = false;
  bool slept = false;  // the server has marked the answer of a handler that slept
  std::uint64_t request = 0;
  const char* message = nullptr;
  std::size_t sent = 0;
  std::size_t received = 0;
  Time since;  // when the request was made, or was due
};

[[noreturn]] inline void fail(const Connection& connection, const std::string& what) {
  throw std::runtime_error("connection " + std::to_string(connection.number) + ", request " +
                           std::to_string(connection.request) + ": " + what);
}

[[noreturn]] inline void fail_by_errno(const Connection& connection, const std::string& what) {
  fail(connection, what + ": " + std::strerror(errno));
}

[[noreturn]] inline void fail_wrong_byte(const Connection& connection, const char* expected,
                                         const char* bytes, std::size_t size) {
  const auto wrong = std::mismatch(expected, expected + size, bytes).first - expected;
  fail(connection, "byte " + std::to_string(connection.received + static_cast<std::size_t>(wrong)) +
                       " is wrong");
}

inline void watch(int epoll, int operation, Connection& connection, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  if (::epoll_ctl(epoll, operation, connection.descriptor, &event) != 0) {
    fail_by_errno(connection, "epoll_ctl");
  }
}

// Connects to a port of this host, from many addresses in turn. With --short, one address alone
// would run out of ports, because each connection takes a port and leaves it in TIME_WAIT for a
// minute.
class Loopback {
 public:
  explicit Loopback(std::uint16_t port) : port_(port) {}

  void connect(Connection& connection) {
    constexpr std::uint32_t first_source = 0x7f000002, sources = 250, yes = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(first_source + source_++ % sources);
    ::setsockopt(connection.descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (::bind(connection.descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      fail_by_errno(connection, "bind");
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    if (::connect(connection.descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) !=
            0 &&
        errno != EINPROGRESS) {
      fail_by_errno(connection, "connect");
    }
  }

 private:
  const std::uint16_t port_;
  std::uint32_t source_ = 0;
};
