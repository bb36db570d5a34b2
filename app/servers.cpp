#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "log.hpp"

// clang-format off: it imports, so it is the last include
#include "servers.hpp"
// clang-format on

namespace {

net::ServerOptions server_options(const EchoOptions& options) {
  net::ServerOptions result;
  result.max_connections = options.max_connections;
  result.overload = overload_of(options);
  result.limits = {.request = options.request, .idle = options.idle, .send = options.send};
  result.drain = options.drain;
  return result;
}

// Returns the kind of server for a socket. Throws if there is none, or if the socket is not ready
// to be served.
Endpoint::Kind kind_of(const net::Socket& socket, const Endpoint& endpoint) {
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("cannot listen on " + endpoint.text + ": " + why);
  };
  using Kind = Endpoint::Kind;
  const net::Address address = socket.getsockname();
  const bool local = address.family() == net::Family::unix_domain;
  const bool internet =
      address.family() == net::Family::ipv4 || address.family() == net::Family::ipv6;
  if (!local && !internet) refuse("its address family is not supported");
  if (socket.type() == net::SocketType::stream) {
    if (!socket.listening()) refuse("it does not listen");
    return local ? Kind::unix_stream : Kind::tcp;
  }
  if (socket.type() != net::SocketType::datagram) refuse("its socket type is not supported");
  if (local ? address.unnamed() : address.port() == 0) refuse("it is not bound");
  return local ? Kind::unix_datagram : Kind::udp;
}

void add(net::DrainReport& sum, const net::DrainReport& report) {
  sum.drained += report.drained;
  sum.closed_idle += report.closed_idle;
  sum.cut += report.cut;
  sum.dropped += report.dropped;
  sum.stuck += report.stuck;
}

}  // namespace

net::Overload overload_of(const EchoOptions& options) {
  if (options.overload == "reject") return net::Overload::reject;
  if (options.overload == "evict-idle") return net::Overload::evict_idle;
  return net::Overload::wait;
}

net::ServerOptions stream_options(const EchoOptions& options) {
  net::ServerOptions result = server_options(options);
  result.per_client = {.connections = options.client_connections,
                       .per_second = options.client_rate,
                       .burst = options.client_burst,
                       .exempt = net::Networks(options.client_exempt)};
  if (options.proxies) result.proxy_protocol = {.trusted = net::Networks(*options.proxies)};
  return result;
}

net::ServerOptions datagram_options(const EchoOptions& options) {
  net::ServerOptions result = server_options(options);
  result.max_packet_size = std::size_t{256} * 1024;  // larger than any datagram
  return result;
}

Servers::Servers(const EchoOptions& options) {
  std::set<int> adopted;
  for (const Endpoint& endpoint : options.endpoints) {
    if (endpoint.kind == Endpoint::Kind::descriptor) {
      if (!adopted.insert(endpoint.descriptor).second) {
        throw std::runtime_error("cannot listen on " + endpoint.text + ": it is listed twice");
      }
      adopt(endpoint);
    } else {
      of(endpoint.kind).hooks->add(endpoint);
    }
  }
}

std::vector<net::BaseServer*> Servers::all() const {
  std::vector<net::BaseServer*> servers;
  for (const Bound& bound : bound_) {
    if (bound.server) servers.push_back(bound.server.get());
  }
  return servers;
}

void Servers::say_where(const std::string& description) const {
  for (const Bound& bound : bound_) {
    for (std::size_t i = 0; bound.server && i < bound.server->listeners(); ++i) {
      write_text(STDOUT_FILENO, "echo on " + bound.where(i) + " (" + description + ")\n");
    }
  }
}

std::vector<net::Heirloom> Servers::heirlooms() const {
  std::vector<net::Heirloom> all;
  for (const Bound& bound : bound_) {
    if (!bound.server) continue;
    std::size_t listener = 0;
    for (net::Socket& socket : bound.server->duplicate_listeners()) {
      all.push_back({std::move(socket), bound.hooks->heirloom_name(listener++)});
    }
  }
  return all;
}

bool Servers::alive() const {
  const auto lately = std::chrono::steady_clock::now() - std::chrono::seconds(2);
  return std::ranges::all_of(bound_, [&](const Bound& bound) {
    return !bound.server || bound.hooks->turned_since(lately);
  });
}

std::vector<WatchedServer> Servers::watched() const {
  std::vector<WatchedServer> all;
  for (const Bound& bound : bound_) {
    if (bound.server) all.push_back({bound.server.get(), bound.where(0)});
  }
  return all;
}

std::string Servers::Bound::where(std::size_t listener) const {
  std::string address = server->server_address(listener).to_string();
  // The text of a Unix address already begins with "unix:".
  if (address.starts_with("unix:")) address.erase(0, address.find(':') + 1);
  return Endpoint::scheme(kind) + address;
}

Servers::Bound& Servers::of(Endpoint::Kind kind) {
  for (Bound& bound : bound_) {
    if (bound.kind == kind) return bound;
  }
  throw std::logic_error("no server is of that kind");
}

void Servers::adopt(const Endpoint& endpoint) {
  naming(endpoint, [&] {
    net::Socket socket = net::Socket::adopt(endpoint.descriptor);
    if (endpoint.name == monitor_name) {
      monitor_listener_ = std::move(socket);
      return;
    }
    of(kind_of(socket, endpoint)).hooks->adopt(std::move(socket), endpoint.name == owned_name);
  });
}

net::DrainReport close_all(const std::vector<net::BaseServer*>& servers, net::Deadline deadline) {
  if (servers.empty()) return {};
  std::vector<net::DrainReport> reports(servers.size());
  const auto close = [&](std::size_t i) { reports[i] = servers[i]->server_close(deadline); };
  {
    std::vector<std::jthread> closing;
    std::vector<std::size_t> here{0};
    for (std::size_t i = 1; i < servers.size(); ++i) {
      try {
        closing.emplace_back(close, i);
      } catch (const std::system_error&) {
        here.push_back(i);
      }
    }
    for (const std::size_t i : here) close(i);
  }
  net::DrainReport sum;
  for (const net::DrainReport& report : reports) add(sum, report);
  return sum;
}
