#include "endpoint.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

import net.handover;

namespace {

constexpr const char* forms =
    "tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unixgram:PATH (or @NAME in "
    "place of a path) or fd://N";

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
    throw refusal(endpoint.text, "needs brackets around its IPv6 address: " +
                                     std::string(Endpoint::scheme(endpoint.kind)) + "[::1]:PORT");
  }
  if (host.empty()) throw refusal(endpoint.text, "has no host: " + form);
  const auto port = number<std::uint16_t>(rest.substr(colon + 1));
  if (!port) throw refusal(endpoint.text, "has no port from 0 to 65535");
  endpoint.host = host;
  endpoint.port = *port;
}

}  // namespace

Endpoint Endpoint::parse_of_monitor(const std::string& text) {
  Endpoint endpoint = parse(text);
  if (endpoint.kind == Kind::tcp || endpoint.kind == Kind::unix_stream) return endpoint;
  throw std::invalid_argument("\"" + text +
                              "\" cannot be used for a monitor: use tcp://HOST:PORT or unix:PATH");
}

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
  throw refusal(text, "is not an endpoint; use " + std::string(forms));
}

std::vector<Endpoint> inherited_endpoints() {
  std::vector<Endpoint> endpoints;
  for (net::InheritedDescriptor& inherited : net::inherited_descriptors()) {
    Endpoint& endpoint = endpoints.emplace_back();
    endpoint.kind = Endpoint::Kind::descriptor;
    endpoint.text = Endpoint::scheme(endpoint.kind) + std::to_string(inherited.number);
    endpoint.descriptor = inherited.number;
    endpoint.name = std::move(inherited.name);
  }
  return endpoints;
}

bool handed_over(const std::vector<Endpoint>& inherited) {
  return std::ranges::any_of(
      inherited, [](const Endpoint& endpoint) { return endpoint.name.starts_with("netserve-"); });
}
