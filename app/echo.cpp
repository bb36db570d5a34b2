#include "echo.hpp"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "log.hpp"
#include "monitor.hpp"
#include "restart.hpp"
#include "servers.hpp"
#include "signal_thread.hpp"

import net.handover;
import net.server;

namespace {

// The handlers of the four combinations of --handler and --framing.

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

// Each connection needs a descriptor, and the system allows us the hard limit anyway.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Throws if fewer than `needed` descriptors are free: those for one connection and for serving it.
void require_descriptors(std::size_t needed) {
  std::vector<net::Descriptor> free;
  while (free.size() < needed) {
    free.emplace_back(::eventfd(0, EFD_CLOEXEC));  // an image may have no /dev/null
    if (free.back().get() >= 0) continue;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    throw std::runtime_error("cannot serve: the limit of " + std::to_string(limit.rlim_cur) +
                             " open files leaves no descriptor for a client; raise it (ulimit -n)");
  }
}

std::unique_ptr<EchoMonitor> start_monitor(const EchoOptions& options, net::Socket listener,
                                           const std::vector<WatchedServer>& servers) {
  if (!options.monitor) return nullptr;
  return std::make_unique<EchoMonitor>(*options.monitor, std::move(listener), servers);
}

template <class Handler, class Policy>
int serve(const EchoOptions& options, typename Policy::Options policy_options) {
  Servers made(options);
  SignalThread::block();
  net::SharedPolicy<Policy> policy(policy_options);
  made.make<Handler, EchoDatagram>(options, policy);
  policy.start();
  const std::vector<net::BaseServer*> servers = made.all();
  const std::unique_ptr<EchoMonitor> monitor =
      start_monitor(options, made.take_monitor_listener(), made.watched());
  Restart restart(options.command, [&] {
    std::vector<net::Heirloom> all = made.heirlooms();
    if (monitor) all.push_back({monitor->duplicate_listener(), monitor_name});
    return all;
  });
  std::atomic<bool> handed_over{false};
  SignalThread signals(servers, {.stats = options.stats,
                                 .lame_duck = options.lame_duck,
                                 .restart =
                                     [&](const std::function<void()>& while_waiting) {
                                       return handed_over = restart.run(while_waiting);
                                     },
                                 .watchdog = net::watchdog_interval(),
                                 .tell_watchdog =
                                     [&made] {
                                       if (made.alive()) net::notify("WATCHDOG=1");
                                     }});
  // With --policy fork, a child needs some more.
  require_descriptors(std::is_same_v<Policy, net::ForkPerRequest> ? 3 : 1);
  std::string description = options.policy;
  if constexpr (requires { policy->workers(); }) {
    description += ", " + std::to_string(policy->workers()) + " workers";
  }
  // The servers run in their own threads: with Inline, a stuck handler must not prevent this thread
  // from closing in time.
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
    // If a thread cannot be started, no server serves.
    for (net::BaseServer* server : servers) server->shutdown();
    for (std::thread& thread : serving) thread.join();
    throw;
  }
  made.say_where(description);
  if (monitor) write_text(STDOUT_FILENO, "monitor on " + monitor->where() + "\n");
  restart.tell_ready("serving, " + description);
  const bool asked = signals.wait_for_stop();
  // If the successor has taken over, the service is not stopping.
  if (!handed_over) {
    net::notify("STOPPING=1\nSTATUS=draining");
    if (asked) Restart::forget_stored();
  }
  const net::DrainReport report = close_all(servers, options.drain);
  if (options.stats) spdlog::info("stats: {}", net::to_string(sum_of_stats(servers)));
  spdlog::info("{}", net::to_string(report));
  // The destructors of the servers would wait for a stuck handler.
  if (report.stuck > 0) ::_exit(3);
  for (std::thread& thread : serving) thread.join();
  for (const std::exception_ptr& error : errors) {
    // A signal may close a server before it starts to serve.
    if (error && !asked) std::rethrow_exception(error);
  }
  return EXIT_SUCCESS;
}

template <class Handler>
int serve(const EchoOptions& options) {
  const net::Overload full = overload_of(options);
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

std::string fault_of_networks(const std::string& list) {
  try {
    return net::Networks(list).empty() ? "no network is given" : "";
  } catch (const std::system_error& error) {
    const std::string what = error.what();
    return what.substr(0, what.rfind(": "));  // without the message of the error code
  }
}

int run_echo(const EchoOptions& options) {
  raise_descriptor_limit();
  const bool lines = options.framing == "line";
  if (options.handler == "conversation") {
    return lines ? serve<ConversationOfLines>(options) : serve<Conversation>(options);
  }
  return lines ? serve<EchoLines>(options) : serve<Echo>(options);
}
