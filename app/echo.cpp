#include "echo.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

import net.server;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

// Binds each endpoint, and says which one could not be bound.
class EndpointHooks final : public net::ServerHooks {
 public:
  // An address, and the endpoint that it came from.
  void expect(const net::Address& address, const Endpoint& endpoint) {
    expected_.push_back({address, &endpoint, {}});
  }

  std::vector<net::Address> addresses() const {
    std::vector<net::Address> addresses;
    addresses.reserve(expected_.size());
    for (const Expected& expected : expected_) addresses.push_back(expected.address);
    return addresses;
  }

  void server_bind(net::Socket& listener, const net::Address& address) override {
    Expected& expected = expected_.at(bound_++);
    naming(*expected.endpoint, [&] {
      listener.bind(common_port(address, *expected.endpoint));
      expected.bound = listener.getsockname();
    });
  }

  void server_activate(net::Socket& listener, int request_queue_size) override {
    naming(*expected_.at(activated_++).endpoint, [&] { listener.listen(request_queue_size); });
  }

 private:
  struct Expected {
    net::Address address;
    const Endpoint* endpoint;
    std::optional<net::Address> bound;
  };

  // The addresses of one name get one port, also if the system picks it.
  net::Address common_port(const net::Address& address, const Endpoint& endpoint) const {
    for (const Expected& other : expected_) {
      if (other.endpoint == &endpoint && other.bound) return address.with_port(other.bound->port());
    }
    return address;
  }

  template <class F>
  static void naming(const Endpoint& endpoint, F function) {
    try {
      function();
    } catch (const std::system_error& error) {
      throw std::runtime_error("cannot listen on " + endpoint.text + ": " + error.code().message());
    }
  }

  std::vector<Expected> expected_;
  std::size_t bound_ = 0;
  std::size_t activated_ = 0;
};

// What the signal handler asks to stop.
std::atomic<net::BaseServer*> serving{nullptr};
static_assert(std::atomic<net::BaseServer*>::is_always_lock_free);

extern "C" void stop_on_signal(int signal) {
  static std::atomic<bool> asked{false};
  net::BaseServer* const server = serving.load();
  if (server == nullptr) ::_exit(128 + signal);
  if (asked.exchange(true)) {
    server->kill_children();
    ::_exit(128 + signal);
  }
  server->shutdown();
}

void handle_signals() {
  struct sigaction action{};
  action.sa_handler = stop_on_signal;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaction(signal, &action, nullptr);
}

// A connection is a descriptor, and the hard limit is what the system allows us anyway.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

template <class Policy>
int serve(const EchoOptions& options, EndpointHooks& hooks,
          typename Policy::Options policy_options) {
  net::ServerOptions server_options;
  server_options.drain = options.drain;
  const auto addresses = hooks.addresses();
  net::TcpServer<Echo, Policy> server(std::span<const net::Address>(addresses), server_options,
                                      policy_options, hooks);
  std::string description = options.policy;
  if constexpr (requires { server.policy().workers(); }) {
    description += ", " + std::to_string(server.policy().workers()) + " workers";
  }
  serving.store(&server);
  handle_signals();
  for (std::size_t i = 0; i < server.listeners(); ++i) {
    std::printf("echo on tcp://%s (%s)\n", server.server_address(i).to_string().c_str(),
                description.c_str());
  }
  std::fflush(stdout);
  server.serve_forever();
  const net::DrainReport report = server.server_close();
  spdlog::info("drained {}, closed idle {}, cut {}, dropped {}, stuck {}", report.drained,
               report.closed_idle, report.cut, report.dropped, report.stuck);
  spdlog::shutdown();
  // The server's destructor would wait for a handler that is stuck.
  if (report.stuck > 0) ::_exit(3);
  return EXIT_SUCCESS;
}

}  // namespace

int run_echo(const EchoOptions& options) {
  raise_descriptor_limit();
  EndpointHooks hooks;
  for (const Endpoint& endpoint : options.endpoints) {
    try {
      for (const auto& address : net::resolve(endpoint.host, endpoint.port, {.passive = true})) {
        hooks.expect(address, endpoint);
      }
    } catch (const std::system_error& error) {
      throw std::runtime_error("cannot listen on " + endpoint.text + ": " + error.code().message());
    }
  }
  if (options.policy == "thread") return serve<net::ThreadPerRequest>(options, hooks, {});
  if (options.policy == "fork") return serve<net::ForkPerRequest>(options, hooks, {});
  if (options.policy == "inline") return serve<net::Inline>(options, hooks, {});
  return serve<net::ThreadPool>(options, hooks, {.workers = options.workers});
}
