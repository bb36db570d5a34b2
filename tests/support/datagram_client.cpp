#include "datagram_client.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>

namespace support {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

int milliseconds_until(Clock::time_point point) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(point - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

}  // namespace

DatagramClient::DatagramClient(const Place& place, const std::string& from)
    : to_(place), socket_(::socket(to_.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  if (fileno() < 0) fail(errno, "socket");
  if (to_.family() != AF_UNIX) return;
  if (!from.empty()) {
    const Name own({.host = {}, .port = 0, .path = from});
    if (::bind(fileno(), own.get(), own.size()) != 0) fail(errno, "bind");
    return;
  }
  const sockaddr_un any{.sun_family = AF_UNIX, .sun_path = {}};
  if (::bind(fileno(), reinterpret_cast<const sockaddr*>(&any), sizeof any.sun_family) != 0) {
    fail(errno, "bind");
  }
}

int DatagramClient::try_send(std::string_view text) const {
  const auto sent = ::sendto(fileno(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                             to_.get(), to_.size());
  return sent < 0 ? errno : 0;
}

void DatagramClient::send(std::string_view text) const {
  for (const auto until = Clock::now() + 10s;;) {
    const int error = try_send(text);
    if (error == 0) return;
    if (error != EAGAIN || Clock::now() > until) fail(error, "sendto");
    // Polls: an unconnected client is not notified when a Unix server can receive again.
    ::poll(nullptr, 0, 1);
  }
}

std::optional<std::string> DatagramClient::receive(std::chrono::milliseconds within) const {
  pollfd polled{fileno(), POLLIN, 0};
  if (::poll(&polled, 1, milliseconds_until(Clock::now() + within)) <= 0) return std::nullopt;
  const auto size = ::recv(fileno(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (size < 0) fail(errno, "recv");
  std::string text(static_cast<std::size_t>(size), '\0');
  if (::recv(fileno(), text.data(), text.size(), MSG_DONTWAIT) != size) fail(errno, "recv");
  return text;
}

bool DatagramClient::echoes(const std::string& text, std::chrono::milliseconds within) const {
  const auto until = Clock::now() + within;
  while (Clock::now() < until) {
    const int error = try_send(text);
    if (error != 0 && error != EAGAIN) fail(error, "sendto");
    const auto again = std::min(until, Clock::now() + (error == EAGAIN ? 2ms : 200ms));
    while (const auto answer = receive(std::chrono::milliseconds(milliseconds_until(again)))) {
      if (*answer == text) return true;
    }
  }
  return false;
}

bool send_from_port(const Place& server, std::uint16_t port, std::string_view text) {
  const Descriptor raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
  if (raw.get() < 0) return false;
  // Source port, destination port, length, and no checksum.
  const auto size = static_cast<std::uint16_t>(8 + text.size());
  const std::array<std::uint16_t, 4> header{htons(port), htons(server.port), htons(size), 0};
  std::string packet(size, '\0');
  std::memcpy(packet.data(), header.data(), 8);
  std::ranges::copy(text, packet.begin() + 8);
  const Name to(server);
  return ::sendto(raw.get(), packet.data(), packet.size(), 0, to.get(), to.size()) == size;
}

}  // namespace support
