// The servers of the demo. It imports, so it is among the last includes.
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

// What --overload says.
net::Overload overload_of(const EchoOptions& options);
// The settings of the command line, for servers of streams and of datagrams.
net::ServerOptions stream_options(const EchoOptions& options);
net::ServerOptions datagram_options(const EchoOptions& options);

// One server for each kind of endpoint, all on one policy.
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
  // What the next program gets.
  std::vector<net::Heirloom> heirlooms() const;
  // Whether all serving loops have turned lately: one that does not, serves nobody.
  bool alive() const;
  // That of the program before.
  net::Socket take_monitor_listener() { return std::move(monitor_listener_); }
  // Each by its first endpoint.
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

  // By the hooks' own type, by which a server knows whether they verify requests.
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

  net::Socket monitor_listener_;  // of the program before
  EndpointHooks tcp_;
  UdpEndpointHooks udp_;
  EndpointHooks unix_stream_;
  EndpointHooks unix_datagram_;
  std::array<Bound, 4> bound_{{{Endpoint::Kind::tcp, &tcp_, nullptr},
                               {Endpoint::Kind::udp, &udp_, nullptr},
                               {Endpoint::Kind::unix_stream, &unix_stream_, nullptr},
                               {Endpoint::Kind::unix_datagram, &unix_datagram_, nullptr}}};
};

// Closes all at once: each drains by the thread that closes it. Without a thread for one, it is
// closed after the others.
net::DrainReport close_all(const std::vector<net::BaseServer*>& servers, net::Deadline deadline);
