#include "echo.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "endpoint_hooks.hpp"
#include "log.hpp"
#include "signal_thread.hpp"

import net.server;

namespace {

// --handler and --framing, in their four combinations.

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct EchoLines : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    if (const auto line = rfile.read_line()) wfile.write(*line);
    return net::Next::keep;
  }
};

struct Conversation : net::StreamRequestHandler {
  void handle() {
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) wfile.write(text);
  }
};

struct ConversationOfLines : net::StreamRequestHandler {
  void handle() {
    while (const auto line = rfile.read_line()) wfile.write(*line);
  }
};

struct EchoDatagram : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
};

// A connection is a descriptor, and the hard limit is what the system allows us anyway.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Throws if a client would find no descriptor: `needed` for its connection and what serves it.
void require_descriptors(std::size_t needed) {
  std::vector<net::Descriptor> free;
  while (free.size() < needed) {
    free.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (free.back().get() >= 0) continue;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    throw std::runtime_error(
        "cannot serve: " + std::to_string(limit.rlim_cur) +
        " open files, which is the limit, leave none for a client (ulimit -n)");
  }
}

net::Overload overload(const EchoOptions& options) {
  if (options.overload == "reject") return net::Overload::reject;
  if (options.overload == "evict-idle") return net::Overload::evict_idle;
  return net::Overload::wait;
}

net::ServerOptions server_options(const EchoOptions& options) {
  net::ServerOptions result;
  result.max_connections = options.max_connections;
  result.overload = overload(options);
  result.limits = {.request = options.request, .idle = options.idle, .send = options.send};
  result.drain = options.drain;
  return result;
}

net::ServerOptions datagram_options(const EchoOptions& options) {
  net::ServerOptions result = server_options(options);
  result.max_packet_size = std::size_t{256} * 1024;  // more than a datagram can be
  return result;
}

// One server for each kind of endpoint, all on one policy.
class Servers {
 public:
  Servers(const EchoOptions& options) {
    std::set<int> adopted;
    for (const Endpoint& endpoint : options.endpoints) {
      if (endpoint.kind == Endpoint::Kind::descriptor) {
        if (!adopted.insert(endpoint.descriptor).second) {
          throw std::runtime_error("cannot listen on " + endpoint.text + ": it is given twice");
        }
        adopt(endpoint);
      } else {
        of(endpoint.kind).hooks->add(endpoint);
      }
    }
  }

  template <class Handler, class Policy>
  void make(const EchoOptions& options, net::SharedPolicy<Policy>& policy) {
    using Kind = Endpoint::Kind;
    bind<net::TcpServer<Handler, Policy>>(Kind::tcp, tcp_, server_options(options), policy);
    bind<net::UdpServer<EchoDatagram, Policy>>(Kind::udp, udp_, datagram_options(options), policy);
    bind<net::UnixStreamServer<Handler, Policy>>(Kind::unix_stream, unix_stream_,
                                                 server_options(options), policy);
    bind<net::UnixDatagramServer<EchoDatagram, Policy>>(Kind::unix_datagram, unix_datagram_,
                                                        datagram_options(options), policy);
  }

  std::vector<net::BaseServer*> all() {
    std::vector<net::BaseServer*> servers;
    for (Bound& bound : bound_) {
      if (bound.server) servers.push_back(bound.server.get());
    }
    return servers;
  }

  void say_where(const std::string& description) {
    for (const Bound& bound : bound_) {
      for (std::size_t i = 0; bound.server && i < bound.server->listeners(); ++i) {
        std::string where = bound.server->server_address(i).to_string();
        // A Unix address says "unix:" itself.
        if (const auto colon = where.find(':'); where.starts_with("unix:"))
          where.erase(0, colon + 1);
        std::string line = "echo on ";
        line.append(Endpoint::scheme(bound.kind)).append(where);
        line.append(" (").append(description).append(")\n");
        write_text(STDOUT_FILENO, line);
      }
    }
  }

 private:
  struct Bound {
    Endpoint::Kind kind;
    EndpointHooks* hooks;
    std::unique_ptr<net::BaseServer> server;
  };

  Bound& of(Endpoint::Kind kind) {
    for (Bound& bound : bound_) {
      if (bound.kind == kind) return bound;
    }
    throw std::logic_error("no server is of that kind");
  }

  void adopt(const Endpoint& endpoint) {
    naming(endpoint, [&] {
      net::Socket socket = net::Socket::adopt(endpoint.descriptor);
      of(kind_of(socket, endpoint)).hooks->adopt(std::move(socket));
    });
  }

  // Whose it is. Throws if it is nobody's, or not ready to be served.
  static Endpoint::Kind kind_of(const net::Socket& socket, const Endpoint& endpoint) {
    const auto refuse = [&](const std::string& why) {
      throw std::runtime_error("cannot listen on " + endpoint.text + ": " + why);
    };
    using Kind = Endpoint::Kind;
    const net::Address address = socket.getsockname();
    const bool local = address.family() == net::Family::unix_domain;
    const bool internet =
        address.family() == net::Family::ipv4 || address.family() == net::Family::ipv6;
    if (!local && !internet) refuse("its family is not served");
    if (socket.type() == net::SocketType::stream) {
      if (!socket.listening()) refuse("it does not listen");
      return local ? Kind::unix_stream : Kind::tcp;
    }
    if (socket.type() != net::SocketType::datagram) refuse("its type is not served");
    if (local ? address.unnamed() : address.port() == 0) refuse("it is not bound");
    return local ? Kind::unix_datagram : Kind::udp;
  }

  // By the hooks' own type, by which a server knows whether they verify requests.
  template <class Server, class Hooks, class Policy>
  void bind(Endpoint::Kind kind, Hooks& hooks, const net::ServerOptions& options,
            net::SharedPolicy<Policy>& policy) {
    if (hooks.empty()) return;
    const auto addresses = hooks.addresses();
    of(kind).server = std::make_unique<Server>(std::span<const net::Address>(addresses),
                                               hooks.take_adopted(), options, policy, hooks);
  }

  EndpointHooks tcp_;
  UdpEndpointHooks udp_;
  EndpointHooks unix_stream_;
  EndpointHooks unix_datagram_;
  std::array<Bound, 4> bound_{{{Endpoint::Kind::tcp, &tcp_, nullptr},
                               {Endpoint::Kind::udp, &udp_, nullptr},
                               {Endpoint::Kind::unix_stream, &unix_stream_, nullptr},
                               {Endpoint::Kind::unix_datagram, &unix_datagram_, nullptr}}};
};

void add(net::DrainReport& sum, const net::DrainReport& report) {
  sum.drained += report.drained;
  sum.closed_idle += report.closed_idle;
  sum.cut += report.cut;
  sum.dropped += report.dropped;
  sum.stuck += report.stuck;
}

// Closes all at once: each drains by the thread that closes it. Without a thread for one, it is
// closed after the others.
net::DrainReport close_all(const std::vector<net::BaseServer*>& servers, net::Deadline deadline) {
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

template <class Handler, class Policy>
int serve(const EchoOptions& options, typename Policy::Options policy_options) {
  Servers made(options);
  SignalThread::block();
  net::SharedPolicy<Policy> policy(policy_options);
  made.make<Handler>(options, policy);
  policy.start();
  const std::vector<net::BaseServer*> servers = made.all();
  SignalThread signals(servers, options.stats);
  // A child of --policy fork needs some more.
  require_descriptors(std::is_same_v<Policy, net::ForkPerRequest> ? 3 : 1);
  std::string description = options.policy;
  if constexpr (requires { policy->workers(); }) {
    description += ", " + std::to_string(policy->workers()) + " workers";
  }
  // In threads of their own: a handler that is stuck there, under Inline, must not keep us from
  // closing in time.
  std::vector<std::exception_ptr> errors(servers.size());
  std::vector<std::thread> serving;
  const auto serve_one = [&](std::size_t i) {
    try {
      servers[i]->serve_forever();
    } catch (...) {
      errors[i] = std::current_exception();
    }
    signals.stop();
  };
  try {
    for (std::size_t i = 0; i < servers.size(); ++i) serving.emplace_back(serve_one, i);
  } catch (...) {
    // No thread for one: nor do the others serve.
    for (net::BaseServer* server : servers) server->shutdown();
    for (std::thread& thread : serving) thread.join();
    throw;
  }
  made.say_where(description);
  const bool asked = signals.wait_for_stop();
  const net::DrainReport report = close_all(servers, options.drain);
  if (options.stats) spdlog::info("{}", describe(sum_of_stats(servers)));
  spdlog::info("drained {}, closed idle {}, cut {}, dropped {}, stuck {}", report.drained,
               report.closed_idle, report.cut, report.dropped, report.stuck);
  // The servers' destructors would wait for a handler that is stuck.
  if (report.stuck > 0) ::_exit(3);
  for (std::thread& thread : serving) thread.join();
  for (const std::exception_ptr& error : errors) {
    // A signal may close the server before it began to serve.
    if (error && !asked) std::rethrow_exception(error);
  }
  return EXIT_SUCCESS;
}

template <class Handler>
int serve(const EchoOptions& options) {
  const net::Overload full = overload(options);
  if (options.policy == "thread") {
    return serve<Handler, net::ThreadPerRequest>(options,
                                                 {.overload = full, .keep = options.keep_threads});
  }
  if (options.policy == "fork") {
    return serve<Handler, net::ForkPerRequest>(options, {.overload = full});
  }
  if (options.policy == "inline") return serve<Handler, net::Inline>(options, {});
  return serve<Handler, net::ThreadPool>(options, {.workers = options.workers, .overload = full});
}

}  // namespace

int run_echo(const EchoOptions& options) {
  raise_descriptor_limit();
  const bool lines = options.framing == "line";
  if (options.handler == "conversation") {
    return lines ? serve<ConversationOfLines>(options) : serve<Conversation>(options);
  }
  return lines ? serve<EchoLines>(options) : serve<Echo>(options);
}
