// The endpoints where the demo listens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// An endpoint: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix:@NAME, unixgram:PATH,
// unixgram:@NAME, or fd://N.
struct Endpoint {
  enum class Kind : std::uint8_t { tcp, udp, unix_stream, unix_datagram, descriptor };

  std::string text;  // as the user wrote it
  Kind kind = Kind::tcp;
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  std::uint16_t port = 0;
  std::string path;     // of a Unix socket; an abstract name begins with '@'
  int descriptor = -1;  // of a socket that is already bound
  std::string name;     // from LISTEN_FDNAMES

  // Throws std::invalid_argument, with a sentence for the user.
  static Endpoint parse(const std::string& text);

  // Does the same for an endpoint of HTTP: TCP or a Unix stream socket.
  static Endpoint parse_of_monitor(const std::string& text);

  // Returns the prefix of an endpoint, such as "tcp://".
  static const char* scheme(Kind kind) noexcept;
};

// Returns the sockets that were bound for this program before its start: sd_listen_fds(3). Call
// this once: it unsets the environment variables, so that child processes do not see them. Throws
// std::runtime_error, with a sentence for the user, if the number of sockets is invalid.
std::vector<Endpoint> inherited_endpoints();

// The names of sockets that this program hands over to its successor: those whose socket file this
// program removes, other listeners, and the listener of the monitor.
inline constexpr const char* owned_name = "netserve-owned";
inline constexpr const char* listener_name = "netserve-listener";
inline constexpr const char* monitor_name = "netserve-monitor";

// Returns whether the inherited sockets are those of an earlier process of this program. If so,
// they replace the endpoints of --listen.
bool handed_over(const std::vector<Endpoint>& inherited);
