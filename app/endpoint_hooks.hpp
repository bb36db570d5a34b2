// Binds what the command line names. It imports, so it is the last include.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "endpoint.hpp"

import net.server;

// The endpoints of one server: resolves them, binds each address, and says which endpoint could not
// be bound.
class EndpointHooks : public net::ServerHooks {
 public:
  // The endpoints outlive this. Throws std::runtime_error, with a sentence for the user.
  void add(const Endpoint& endpoint);
  void adopt(net::Socket socket);

  bool empty() const noexcept { return expected_.empty() && adopted_.empty(); }
  std::vector<net::Address> addresses() const;
  std::vector<net::Socket> take_adopted() { return std::exchange(adopted_, {}); }

  void server_bind(net::Socket& listener, const net::Address& address) override;
  void server_activate(net::Socket& listener, int request_queue_size) override;

 protected:
  bool has_port(std::uint16_t port) const { return ports_.contains(port); }

 private:
  // An address, the endpoint that it came from, and where it is bound.
  struct Expected {
    net::Address address;
    const Endpoint* endpoint;
    std::optional<net::Address> bound;
  };

  net::Address common_port(const net::Address& address, const Endpoint& endpoint) const;

  std::vector<Expected> expected_;
  std::vector<net::Socket> adopted_;
  std::set<std::uint16_t> ports_;  // of all that is bound
  std::size_t bound_ = 0;
  std::size_t activated_ = 0;
};

// The same for an echo of UDP. It refuses datagrams from ports whose owners would answer the
// answer, since one datagram with a forged sender would keep both ends busy for ever: from the
// ports that the server itself listens on, which other echo servers use too, and from those below
// 1024, where services answer whatever they receive (echo, daytime, qotd, chargen, time, DNS).
class UdpEndpointHooks final : public EndpointHooks {
 public:
  bool verify_request(const net::Socket& request, const net::Address& client) override;
};

// Calls a function, and says in its std::system_error which endpoint it was for.
template <class F>
void naming(const Endpoint& endpoint, F function) {
  try {
    function();
  } catch (const std::system_error& error) {
    throw std::runtime_error("cannot listen on " + endpoint.text + ": " + error.code().message());
  }
}
