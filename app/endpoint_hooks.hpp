// Binds what the command line names. It imports, so it is the last include.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "endpoint.hpp"

import net.server;

// Resolves the endpoints, binds each address, and says which endpoint could not be bound.
class EndpointHooks final : public net::ServerHooks {
 public:
  // The endpoints outlive this. Throws std::runtime_error, with a sentence for the user.
  explicit EndpointHooks(std::span<const Endpoint> endpoints);

  std::vector<net::Address> addresses() const;

  void server_bind(net::Socket& listener, const net::Address& address) override;
  void server_activate(net::Socket& listener, int request_queue_size) override;

 private:
  // An address, the endpoint that it came from, and where it is bound.
  struct Expected {
    net::Address address;
    const Endpoint* endpoint;
    std::optional<net::Address> bound;
  };

  net::Address common_port(const net::Address& address, const Endpoint& endpoint) const;

  std::vector<Expected> expected_;
  std::size_t bound_ = 0;
  std::size_t activated_ = 0;
};
