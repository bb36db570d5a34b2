#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

// clang-format off: it imports, so it is the last include
#include "monitor.hpp"
// clang-format on

namespace {

net::Address address_of(const Endpoint& endpoint) {
  const std::string_view path = endpoint.path;
  if (path.starts_with('@')) return net::Address::unix_abstract(path.substr(1));
  if (!path.empty()) return net::Address::unix_path(path);
  return net::resolve(endpoint.host, endpoint.port, {.passive = true}).front();
}

net::Monitor make(const Endpoint& endpoint, net::Socket listener,
                  const std::vector<WatchedServer>& servers) {
  std::vector<net::Watched> watched;
  watched.reserve(servers.size());
  for (const WatchedServer& each : servers) watched.push_back({each.server, each.name});
  try {
    if (listener.fileno() >= 0) return {std::move(listener), watched};
    return {address_of(endpoint), watched};
  } catch (const std::system_error& error) {
    throw std::runtime_error("cannot listen on " + endpoint.text + ": " + error.code().message());
  }
}

}  // namespace

EchoMonitor::EchoMonitor(const Endpoint& endpoint, net::Socket listener,
                         const std::vector<WatchedServer>& servers)
    : monitor_(make(endpoint, std::move(listener), servers)) {}

std::string EchoMonitor::where() const {
  const net::Address address = monitor_.address();
  if (address.family() == net::Family::unix_domain) return address.to_string();
  return "http://" + address.to_string() + "/";
}
