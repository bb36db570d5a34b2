// Where the demo listens: tcp://HOST:PORT.
#pragma once

#include <cstdint>
#include <string>

struct Endpoint {
  std::string text;  // as it was given
  std::string host;  // a name, an IPv4 address, or an IPv6 address without its brackets
  std::uint16_t port = 0;

  // Throws std::invalid_argument, with a sentence for the user.
  static Endpoint parse(const std::string& text);
};
