#include <netinet/in.h>

#include <string_view>

// clang-format off: it imports, so it is the last include
#include "endpoint_hooks.hpp"
// clang-format on

namespace {

net::Address unix_address(std::string_view path) {
  return path.starts_with('@') ? net::Address::unix_abstract(path.substr(1))
                               : net::Address::unix_path(path);
}

}  // namespace

void EndpointHooks::add(const Endpoint& endpoint) {
  naming(endpoint, [&] {
    if (!endpoint.path.empty()) {
      expected_.push_back({unix_address(endpoint.path), &endpoint, {}});
      return;
    }
    for (const auto& address : net::resolve(endpoint.host, endpoint.port, {.passive = true})) {
      expected_.push_back({address, &endpoint, {}});
    }
  });
}

const char* EndpointHooks::heirloom_name(std::size_t listener) const {
  const bool owned = listener < expected_.size() || owns_adopted_;
  return owned ? owned_name : listener_name;
}

void EndpointHooks::adopt(net::Socket socket, bool owned) {
  owns_adopted_ = owns_adopted_ && owned;
  ports_.insert(socket.getsockname().port());
  adopted_.push_back(std::move(socket));
}

std::vector<net::Address> EndpointHooks::addresses() const {
  std::vector<net::Address> addresses;
  addresses.reserve(expected_.size());
  for (const Expected& expected : expected_) addresses.push_back(expected.address);
  return addresses;
}

void EndpointHooks::server_bind(net::Socket& listener, const net::Address& address) {
  Expected& expected = expected_.at(bound_++);
  naming(*expected.endpoint, [&] {
    listener.bind(common_port(address, *expected.endpoint));
    expected.bound = listener.getsockname();
    ports_.insert(expected.bound->port());
  });
}

void EndpointHooks::server_activate(net::Socket& listener, int request_queue_size) {
  naming(*expected_.at(activated_++).endpoint, [&] { listener.listen(request_queue_size); });
}

void EndpointHooks::service_actions() { last_turn_.store(std::chrono::steady_clock::now()); }

// All addresses of one name get the same port, even if the system picks it.
net::Address EndpointHooks::common_port(const net::Address& address,
                                        const Endpoint& endpoint) const {
  for (const Expected& other : expected_) {
    if (other.endpoint == &endpoint && other.bound) return address.with_port(other.bound->port());
  }
  return address;
}

bool UdpEndpointHooks::verify_request(const net::Socket&, const net::Address& client) {
  const std::uint16_t port = client.port();
  // A reply to port 0 cannot be sent, so it causes no loop.
  return port == 0 || (port >= IPPORT_RESERVED && !has_port(port));
}
