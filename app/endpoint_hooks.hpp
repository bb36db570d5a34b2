// Binds the endpoints of the command line. This header imports modules, so include it last.
#pragma once

#include <atomic>
#include <chrono>
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

// The endpoints of one server: resolves them, binds each address, and names the endpoint in errors.
class EndpointHooks : public net::ServerHooks {
 public:
  // `endpoint` must outlive this object. Throws std::runtime_error, with a sentence for the user.
  void add(const Endpoint& endpoint);
  // `owned`: this program removes the socket file.
  void adopt(net::Socket socket, bool owned);
  // Returns whether this program removes the socket files of all adopted sockets.
  bool owns_adopted() const noexcept { return owns_adopted_; }
  // Returns the name of a listener that is handed over to the successor.
  const char* heirloom_name(std::size_t listener) const;

  bool empty() const noexcept { return expected_.empty() && adopted_.empty(); }
  std::vector<net::Address> addresses() const;
  std::vector<net::Socket> take_adopted() { return std::exchange(adopted_, {}); }

  void server_bind(net::Socket& listener, const net::Address& address) override;
  void server_activate(net::Socket& listener, int request_queue_size) override;
  void service_actions() override;

  // Returns whether the serving loop has run an iteration since `time`. Thread safety: any thread.
  bool turned_since(std::chrono::steady_clock::time_point time) const noexcept {
    return last_turn_.load() >= time;
  }

 protected:
  bool has_port(std::uint16_t port) const { return ports_.contains(port); }

 private:
  // An address, the endpoint that it was resolved from, and the address that it was bound to.
  struct Expected {
    net::Address address;
    const Endpoint* endpoint;
    std::optional<net::Address> bound;
  };

  net::Address common_port(const net::Address& address, const Endpoint& endpoint) const;

  std::vector<Expected> expected_;
  std::vector<net::Socket> adopted_;
  bool owns_adopted_ = true;
  std::set<std::uint16_t> ports_;  // of all bound sockets
  std::size_t bound_ = 0;
  std::size_t activated_ = 0;
  std::atomic<std::chrono::steady_clock::time_point> last_turn_{};
};

// The endpoints of a UDP echo server. It refuses datagrams from ports whose owners would reply to
// the reply, since one datagram with a forged sender would then keep both ends busy forever. These
// are the ports that the server itself listens on, which other echo servers use too, and the ports
// below 1024, where services reply to any datagram (echo, daytime, qotd, chargen, time, DNS).
class UdpEndpointHooks final : public EndpointHooks {
 public:
  bool verify_request(const net::Socket& request, const net::Address& client) override;
};

// Calls a function, and turns its std::system_error into an error that names the endpoint.
template <class F>
void naming(const Endpoint& endpoint, F function) {
  try {
    function();
  } catch (const std::system_error& error) {
    throw std::runtime_error("cannot listen on " + endpoint.text + ": " + error.code().message());
  }
}
