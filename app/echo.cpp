#include "echo.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <thread>

#include "endpoint_hooks.hpp"
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

// A connection is a descriptor, and the hard limit is what the system allows us anyway.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
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

template <class Handler, class Policy>
int serve(const EchoOptions& options, typename Policy::Options policy_options) {
  EndpointHooks hooks(options.endpoints);
  const auto addresses = hooks.addresses();
  SignalThread::block();
  net::TcpServer<Handler, Policy> server(std::span<const net::Address>(addresses),
                                         server_options(options), policy_options, hooks);
  SignalThread signals(server, options.stats);
  std::string description = options.policy;
  if constexpr (requires { server.policy().workers(); }) {
    description += ", " + std::to_string(server.policy().workers()) + " workers";
  }
  // In a thread of its own: a handler that is stuck there, under Inline, must not keep us from
  // closing in time.
  std::exception_ptr error;
  std::thread serving([&] {
    try {
      server.serve_forever();
    } catch (...) {
      error = std::current_exception();
    }
    signals.stop();
  });
  for (std::size_t i = 0; i < server.listeners(); ++i) {
    std::printf("echo on tcp://%s (%s)\n", server.server_address(i).to_string().c_str(),
                description.c_str());
  }
  std::fflush(stdout);
  const bool asked = signals.wait_for_stop();
  const net::DrainReport report = server.server_close();
  if (options.stats) spdlog::info("{}", describe(server.stats()));
  spdlog::info("drained {}, closed idle {}, cut {}, dropped {}, stuck {}", report.drained,
               report.closed_idle, report.cut, report.dropped, report.stuck);
  // The server's destructor would wait for a handler that is stuck.
  if (report.stuck > 0) ::_exit(3);
  serving.join();
  // A signal may close the server before it began to serve.
  if (error && !asked) std::rethrow_exception(error);
  return EXIT_SUCCESS;
}

template <class Handler>
int serve(const EchoOptions& options) {
  const net::Overload full = overload(options);
  if (options.policy == "thread") {
    return serve<Handler, net::ThreadPerRequest>(options, {.overload = full});
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
