// Binds what the command line names. It imports, so it is the last include.
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

// The endpoints of one server: resolves them, binds each address, and says which endpoint could not
// be bound.
class EndpointHooks : public net::ServerHooks {
 public:
  // The endpoints outlive this. Throws std::runtime_error, with a sentence for the user.
  void add(const Endpoint& endpoint);
  // `owned`: its file goes with us.
  void adopt(net::Socket socket, bool owned);
  // Whether the files of all that was adopted go with us.
  bool owns_adopted() const noexcept { return owns_adopted_; }
  // The name of a listener for the next program.
  const char* heirloom_name(std::size_t listener) const;

  bool empty() const noexcept { return expected_.empty() && adopted_.empty(); }
  std::vector<net::Address> addresses() const;
  std::vector<net::Socket> take_adopted() { return std::exchange(adopted_, {}); }

  void server_bind(net::Socket& listener, const net::Address& address) override;
  void server_activate(net::Socket& listener, int request_queue_size) override;
  void service_actions() override;

  // Whether the serving loop has turned since that time. From any thread.
  bool turned_since(std::chrono::steady_clock::time_point time) const noexcept {
    return last_turn_.load() >= time;
  }

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
  bool owns_adopted_ = true;
  std::set<std::uint16_t> ports_;  // of all that is bound
  std::size_t bound_ = 0;
  std::size_t activated_ = 0;
  std::atomic<std::chrono::steady_clock::time_point> last_turn_{};
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
