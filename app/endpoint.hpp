// Where the demo listens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix:@NAME, unixgram:PATH, unixgram:@NAME, or
// fd://N.
struct Endpoint {
  enum class Kind : std::uint8_t { tcp, udp, unix_stream, unix_datagram, descriptor };

  std::string text;  // as it was given
  Kind kind = Kind::tcp;
  std::string host;  // a name, an IPv4 address, or an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string path;     // of a Unix socket; a name without file begins with '@'
  int descriptor = -1;  // of a socket that is bound already
  std::string name;     // of LISTEN_FDNAMES

  // Throws std::invalid_argument, with a sentence for the user.
  static Endpoint parse(const std::string& text);

  // The same, for what speaks HTTP: of TCP, or a Unix stream.
  static Endpoint parse_of_monitor(const std::string& text);

  // What the endpoint begins with, "tcp://" and the like.
  static const char* scheme(Kind kind) noexcept;
};

// The sockets that whoever started us has bound for us: sd_listen_fds(3). Once: what this process
// starts is not told of them. Throws std::runtime_error, with a sentence for the user, if their
// number is none.
std::vector<Endpoint> inherited_endpoints();

// The names of sockets that this program hands over to the next one: whose file goes with the
// program, any other, and the monitor's.
inline constexpr const char* owned_name = "netserve-owned";
inline constexpr const char* listener_name = "netserve-listener";
inline constexpr const char* monitor_name = "netserve-monitor";

// Whether the program before this one has handed all of its sockets over.
bool handed_over(const std::vector<Endpoint>& inherited);
