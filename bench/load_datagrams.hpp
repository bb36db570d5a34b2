// Clients that send datagrams: each has a socket, connected to the server.
#pragma once

#include <span>
#include <utility>

#include "load_connection.hpp"
#include "load_options.hpp"

// The request or the answer may be lost, so a request is repeated until it is answered. Each
// repetition may cause one more answer, which arrives late. No more late answers than repetitions
// are accepted.
class Datagrams {
 public:
  static constexpr bool may_lose = true;

  Datagrams(const LoadOptions& options, const Pattern& pattern, int epoll)
      : loopback_(options.port),
        pattern_(pattern),
        epoll_(epoll),
        size_(options.size),
        buffer_(options.size),
        clients_(options.clients()) {}

  void ask(Connection& connection) {
    if (connection.descriptor < 0) connect(connection);
    send(connection);
  }

  // Receives until the answer has arrived, and skips late ones. Returns whether the answer has
  // arrived.
  bool receive(Connection& connection) {
    for (;;) {
      // With MSG_TRUNC, recv returns the whole size, however much fits.
      const auto count = ::recv(connection.descriptor, buffer_.data(), buffer_.size(), MSG_TRUNC);
      if (count < 0 && errno == EAGAIN) return false;
      if (count < 0) fail_by_errno(connection, "lost");
      const auto size = static_cast<std::size_t>(count);
      if (size == size_ && connection.busy && says(connection.message)) return true;
      if (size != size_) fail(connection, "an answer has " + std::to_string(size) + " bytes");
      if (is_late(connection)) continue;
      if (!connection.busy) fail(connection, "an answer came that nobody asked for");
      fail_wrong_byte(connection, connection.message, buffer_.data(), size_);
    }
  }

  // Repeats the requests that were not answered in time. Returns when to look again.
  Time repeat(std::span<Connection> connections) {
    const Time now = Clock::now();
    if (now < next_look_) return next_look_;
    next_look_ = now + lost_after / 8;
    for (Connection& connection : connections) {
      Client& client = clients_[connection.number];
      if (!connection.busy || now < client.sent_at + lost_after) continue;
      if (now >= connection.since + patience) fail(connection, "is not answered");
      client.repeated.push_back(connection.request);
      ++resent_;
      send(connection);
    }
    return next_look_;
  }

  // Returns how many requests were repeated since the last call.
  std::uint64_t resent() { return std::exchange(resent_, 0); }

 private:
  static constexpr std::chrono::milliseconds lost_after{200};

  struct Client {
    Time sent_at;
    std::vector<std::uint64_t> repeated;  // each request as often as it was repeated
  };

  void connect(Connection& connection) {
    connection.descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.descriptor < 0) fail_by_errno(connection, "socket");
    loopback_.connect(connection);
    watch(epoll_, EPOLL_CTL_ADD, connection, EPOLLIN | EPOLLET);
  }

  void send(Connection& connection) {
    const auto count = ::send(connection.descriptor, connection.message, size_, MSG_NOSIGNAL);
    // If there is no buffer space, the datagram counts as lost.
    if (count < 0 && errno != EAGAIN && errno != ENOBUFS) fail_by_errno(connection, "lost");
    clients_[connection.number].sent_at = Clock::now();
  }

  bool says(const char* message) const { return std::memcmp(buffer_.data(), message, size_) == 0; }

  // Returns whether this is an answer to an older request that was repeated.
  bool is_late(const Connection& connection) {
    std::vector<std::uint64_t>& repeated = clients_[connection.number].repeated;
    const auto found = std::ranges::find_if(repeated, [&](std::uint64_t request) {
      return says(pattern_.message(connection.number, request));
    });
    if (found == repeated.end()) return false;
    repeated.erase(found);
    return true;
  }

  Loopback loopback_;
  const Pattern& pattern_;
  const int epoll_;
  const std::size_t size_;
  std::vector<char> buffer_;
  std::vector<Client> clients_;
  Time next_look_;
  std::uint64_t resent_ = 0;
};
