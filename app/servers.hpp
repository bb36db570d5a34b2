// The servers of the demo. This header imports modules, so include it after all others.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "echo.hpp"
#include "endpoint_hooks.hpp"
#include "monitor.hpp"

import net.handover;
import net.server;

// Returns the value of --overload.
net::Overload overload_of(const EchoOptions& options);
// Return the settings of the command line, for stream and for datagram servers.
net::ServerOptions stream_options(const EchoOptions& options);
net::ServerOptions datagram_options(const EchoOptions& options);

// One server for each kind of endpoint; all share one policy.
class Servers {
 public:
  // Throws std::runtime_error, with a sentence for the user.
  explicit Servers(const EchoOptions& options);

  template <class Handler, class DatagramHandler, class Policy>
  void make(const EchoOptions& options, net::SharedPolicy<Policy>& policy) {
    using Kind = Endpoint::Kind;
    bind<net::TcpServer<Handler, Policy>>(Kind::tcp, tcp_, stream_options(options), policy);
    bind<net::UdpServer<DatagramHandler, Policy>>(Kind::udp, udp_, datagram_options(options),
                                                  policy);
    bind<net::UnixStreamServer<Handler, Policy>>(Kind::unix_stream, unix_stream_,
                                                 stream_options(options), policy);
    bind<net::UnixDatagramServer<DatagramHandler, Policy>>(Kind::unix_datagram, unix_datagram_,
                                                           datagram_options(options), policy);
  }

  std::vector<net::BaseServer*> all() const;
  void say_where(const std::string& description) const;
  // Returns the sockets for the successor.
  std::vector<net::Heirloom> heirlooms() const;
  // Returns whether each serving loop has run an iteration in the last 2 s. A loop that has not is
  // stuck.
  bool alive() const;
  // Returns the monitor listener of the predecessor.
  net::Socket take_monitor_listener() { return std::move(monitor_listener_); }
  // Returns the servers, each named by its first endpoint.
  std::vector<WatchedServer> watched() const;

 private:
  struct Bound {
    Endpoint::Kind kind;
    EndpointHooks* hooks;
    std::unique_ptr<net::BaseServer> server;

    std::string where(std::size_t listener) const;
  };

  Bound& of(Endpoint::Kind kind);
  void adopt(const Endpoint& endpoint);

  // Takes the actual type of the hooks, from which a server knows whether they verify requests.
  template <class Server, class Hooks, class Policy>
  void bind(Endpoint::Kind kind, Hooks& hooks, const net::ServerOptions& options,
            net::SharedPolicy<Policy>& policy) {
    if (hooks.empty()) return;
    const auto addresses = hooks.addresses();
    net::ServerOptions with_files = options;
    with_files.adopted_files = hooks.owns_adopted();
    of(kind).server = std::make_unique<Server>(std::span<const net::Address>(addresses),
                                               hooks.take_adopted(), with_files, policy, hooks);
  }

  net::Socket monitor_listener_;  // from the predecessor
  EndpointHooks tcp_;
  UdpEndpointHooks udp_;
  EndpointHooks unix_stream_;
  EndpointHooks unix_datagram_;
  std::array<Bound, 4> bound_{{{Endpoint::Kind::tcp, &tcp_, nullptr},
                               {Endpoint::Kind::udp, &udp_, nullptr},
                               {Endpoint::Kind::unix_stream, &unix_stream_, nullptr},
                               {Endpoint::Kind::unix_datagram, &unix_datagram_, nullptr}}};
};

// Closes all servers concurrently: the first in the calling thread, each other one in its own
// thread. Servers for which no thread can be started are closed in the calling thread, one after
// another.
net::DrainReport close_all(const std::vector<net::BaseServer*>& servers, net::Deadline deadline);
