#include "endpoint.hpp"

#include <charconv>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

Endpoint Endpoint::parse(const std::string& text) {
  const auto refuse = [&text](const std::string& why) {
    return std::invalid_argument("\"" + text + "\" " + why);
  };
  constexpr std::string_view scheme = "tcp://";
  if (!text.starts_with(scheme)) throw refuse("is no endpoint: tcp://HOST:PORT");
  const std::string_view rest = std::string_view(text).substr(scheme.size());
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) throw refuse("has no port: tcp://HOST:PORT");

  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    throw refuse("needs brackets round its IPv6 address: tcp://[::1]:PORT");
  }
  if (host.empty()) throw refuse("has no host: tcp://HOST:PORT");

  const std::string_view digits = rest.substr(colon + 1);
  Endpoint endpoint{.text = text, .host = std::string(host)};
  const auto* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, endpoint.port);
  if (error != std::errc{} || stop != end) throw refuse("has no port from 0 to 65535");
  return endpoint;
}
