#include "client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "name.hpp"

namespace support {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto patience = std::chrono::seconds(10);
constexpr int patience_in_milliseconds = 10'000;

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

Descriptor connect(const Place& place, const std::string& from) {
  const Name to(place);
  Descriptor socket(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) fail(errno, "socket");
  const timeval most{.tv_sec = patience.count(), .tv_usec = 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(socket.get(), SOL_SOCKET, option, &most, sizeof most);
  }
  if (!from.empty()) {
    const Name own({.host = from, .port = 0, .path = {}});
    if (::bind(socket.get(), own.get(), own.size()) != 0) fail(errno, "bind");
  }
  if (::connect(socket.get(), to.get(), to.size()) != 0) fail(errno, "connect");
  return socket;
}

std::optional<Client> try_connect(const Place& place) {
  try {
    return Client(place);
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::connection_refused) return std::nullopt;
    if (error.code() == std::errc::no_such_file_or_directory) return std::nullopt;
    // The kernel completed the connection just when the listener closed.
    if (error.code() == std::errc::connection_reset) return std::nullopt;
    throw;
  }
}

// Returns 0 at the end of the stream or after a reset.
std::size_t receive_some(int socket, std::span<char> into) {
  const auto count = ::recv(socket, into.data(), into.size(), 0);
  if (count < 0 && errno != ECONNRESET) fail(errno, "recv");
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

// The exchange of one client in `echo_all`.
struct Exchange {
  const Client* client;
  const std::string* message;
  std::size_t sent = 0;
  std::string received;

  bool done() const noexcept { return received.size() == message->size(); }
  short events() const noexcept {
    return done() ? short{0} : sent < message->size() ? short{POLLIN | POLLOUT} : short{POLLIN};
  }
  // Returns false if the exchange failed.
  bool go_on(short ready) {
    if ((ready & POLLOUT) != 0 && sent < message->size()) {
      const auto count = ::send(client->fileno(), message->data() + sent, message->size() - sent,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN;
      sent += static_cast<std::size_t>(count);
    }
    if ((ready & ~POLLOUT) != 0) {
      std::array<char, 16384> buffer;  // recv fills it
      const auto count = ::recv(client->fileno(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count <= 0) return false;
      received.append(buffer.data(), static_cast<std::size_t>(count));
      if (received.size() > message->size()) return false;
    }
    return true;
  }
};

}  // namespace

Client::Client(const Place& place, const std::string& from) : socket_(connect(place, from)) {}

void Client::send(std::string_view text) const {
  while (!text.empty()) {
    const auto count = ::send(fileno(), text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0) fail(errno, "send");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::size_t Client::send_until_stuck() const {
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (;;) {
    pollfd polled{fileno(), POLLOUT, 0};
    if (::poll(&polled, 1, 300) == 0) return sent;
    const auto count = ::send(fileno(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) fail(errno, "send");
    if (count > 0) sent += static_cast<std::size_t>(count);
  }
}

std::string Client::receive(std::size_t count) const {
  std::string text(count, '\0');
  for (std::size_t filled = 0; filled < count;) {
    const std::size_t more = receive_some(fileno(), std::span(text).subspan(filled));
    if (more == 0) throw std::runtime_error("end of stream after " + text.substr(0, filled));
    filled += more;
  }
  return text;
}

std::string Client::receive_line() const {
  std::string line;
  while (line.empty() || line.back() != '\n') line += receive(1);
  return line;
}

std::string Client::receive_to_end() const {
  std::string text;
  std::array<char, 16384> buffer;  // recv fills it
  while (const std::size_t count = receive_some(fileno(), buffer))
    text.append(buffer.data(), count);
  return text;
}

void Client::end_output() const { ::shutdown(fileno(), SHUT_WR); }

Client wait_until_accepted(const Place& place) {
  for (const auto until = Clock::now() + patience;;) {
    auto client = try_connect(place);
    if (client) return std::move(*client);
    if (Clock::now() > until) throw std::runtime_error("nobody listens");
  }
}

void wait_until_refused(const Place& place) {
  const auto until = Clock::now() + patience;
  while (try_connect(place)) {
    if (Clock::now() > until) throw std::runtime_error("somebody still listens");
  }
}

std::size_t echo_all(std::span<const Client> clients, std::span<const std::string> messages) {
  std::vector<Exchange> exchanges;
  std::vector<pollfd> polled;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    exchanges.push_back({.client = &clients[i], .message = &messages[i], .received = {}});
    polled.push_back({clients[i].fileno(), exchanges.back().events(), 0});
  }
  for (std::size_t left = clients.size(); left > 0;) {
    if (::poll(polled.data(), polled.size(), patience_in_milliseconds) <= 0) break;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      pollfd& one = polled.at(i);
      if (one.fd < 0 || one.revents == 0) continue;
      const bool alive = exchanges.at(i).go_on(one.revents);
      one.events = exchanges.at(i).events();
      if (alive && one.events != 0) continue;
      one.fd = -1;  // poll ignores it
      --left;
    }
  }
  std::size_t right = 0;
  for (const Exchange& exchange : exchanges)
    right += exchange.received == *exchange.message ? 1 : 0;
  return right;
}

}  // namespace support
