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

  // Throws std::invalid_argument, with a sentence for the user.
  static Endpoint parse(const std::string& text);

  // What the endpoint begins with, "tcp://" and the like.
  static const char* scheme(Kind kind) noexcept;
};

// The sockets that whoever started us has bound for us: sd_listen_fds(3). Once: what this process
// starts is not told of them. Throws std::runtime_error, with a sentence for the user, if their
// number is none.
std::vector<Endpoint> inherited_endpoints();
