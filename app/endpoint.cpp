#include "endpoint.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace {

constexpr const char* forms =
    "tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix:@NAME, unixgram:PATH or fd://N";

template <class Number>
std::optional<Number> number(std::string_view digits) {
  Number value{};
  const auto* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::invalid_argument refusal(const std::string& text, const std::string& why) {
  return std::invalid_argument("\"" + text + "\" " + why);
}

void parse_host_and_port(Endpoint& endpoint, std::string_view rest) {
  const std::string form = std::string(Endpoint::scheme(endpoint.kind)) + "HOST:PORT";
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) throw refusal(endpoint.text, "has no port: " + form);
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    throw refusal(endpoint.text, "needs brackets round its IPv6 address: " +
                                     std::string(Endpoint::scheme(endpoint.kind)) + "[::1]:PORT");
  }
  if (host.empty()) throw refusal(endpoint.text, "has no host: " + form);
  const auto port = number<std::uint16_t>(rest.substr(colon + 1));
  if (!port) throw refusal(endpoint.text, "has no port from 0 to 65535");
  endpoint.host = host;
  endpoint.port = *port;
}

}  // namespace

const char* Endpoint::scheme(Kind kind) noexcept {
  switch (kind) {
    case Kind::tcp: return "tcp://";
    case Kind::udp: return "udp://";
    case Kind::unix_stream: return "unix:";
    case Kind::unix_datagram: return "unixgram:";
    case Kind::descriptor: break;
  }
  return "fd://";
}

Endpoint Endpoint::parse(const std::string& text) {
  Endpoint endpoint;
  endpoint.text = text;
  for (const Kind kind :
       {Kind::tcp, Kind::udp, Kind::unix_stream, Kind::unix_datagram, Kind::descriptor}) {
    if (!text.starts_with(scheme(kind))) continue;
    endpoint.kind = kind;
    const std::string_view rest =
        std::string_view(text).substr(std::string_view(scheme(kind)).size());
    if (kind == Kind::tcp || kind == Kind::udp) {
      parse_host_and_port(endpoint, rest);
    } else if (kind == Kind::descriptor) {
      const auto descriptor = number<int>(rest);
      if (!descriptor || *descriptor < 0) throw refusal(text, "has no descriptor: fd://N");
      endpoint.descriptor = *descriptor;
    } else {
      if (rest.empty() || rest == "@") {
        throw refusal(text, "has no path: " + std::string(scheme(kind)) + "PATH");
      }
      endpoint.path = rest;
    }
    return endpoint;
  }
  throw refusal(text, "is no endpoint: " + std::string(forms));
}

std::vector<Endpoint> inherited_endpoints() {
  constexpr int first = 3;
  const auto text_of = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  const auto process = number<int>(text_of("LISTEN_PID"));
  const std::string count_text = text_of("LISTEN_FDS");
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<Endpoint> endpoints;
  if (process && *process == ::getpid() && !count_text.empty()) {
    const auto count = number<int>(count_text);
    if (!count || *count < 0 || *count > std::numeric_limits<int>::max() - first) {
      throw std::runtime_error("LISTEN_FDS=" + count_text + " is no number of descriptors");
    }
    for (int descriptor = first; descriptor < first + *count; ++descriptor) {
      Endpoint& endpoint = endpoints.emplace_back();
      endpoint.kind = Endpoint::Kind::descriptor;
      endpoint.text = Endpoint::scheme(endpoint.kind) + std::to_string(descriptor);
      endpoint.descriptor = descriptor;
      // The first that is missing is the last: whatever the count, no more than can be open.
      if (::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) break;
    }
  }
  return endpoints;
}
