// netserve: --policy pool (the default), inline, thread or fork; --threads N is the size of the
// pool.
// --sleep MS stands for a handler that blocks.

#include <pthread.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "arguments.h"

import net.server;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

std::chrono::milliseconds sleep_time{0};

struct SleepyEcho : net::StreamRequestHandler {
  net::Next handle() {
    const auto bytes = rfile.read_some();
    std::this_thread::sleep_for(sleep_time);
    wfile.write(bytes);
    return net::Next::keep;
  }
};

template <class Handler, class Policy>
int serve(int port, typename Policy::Options policy_options) {
  sigset_t stop;  // blocked before there are threads, which inherit it
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  const net::Address address{"127.0.0.1", static_cast<std::uint16_t>(port)};
  net::TcpServer<Handler, Policy> server{address, policy_options};
  std::thread serving([&server] { server.serve_forever(); });
  say_listening(server.server_address().port());
  int signal = 0;
  sigwait(&stop, &signal);
  server.server_close();
  serving.join();
  return EXIT_SUCCESS;
}

template <class Handler>
int serve(int port, std::string_view policy, std::size_t threads) {
  if (policy == "inline") return serve<Handler, net::Inline>(port, {});
  if (policy == "thread") return serve<Handler, net::ThreadPerRequest>(port, {.max_threads = 4096});
  if (policy == "fork") return serve<Handler, net::ForkPerRequest>(port, {.max_children = 1024});
  return serve<Handler, net::ThreadPool>(port, {.workers = threads});
}

std::string_view policy_argument(int count, char** arguments) {
  for (int i = 1; i + 1 < count; ++i) {
    if (std::string_view(arguments[i]) == "--policy") return arguments[i + 1];
  }
  return "pool";
}

}  // namespace

int main(int count, char** arguments) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const int port = number_argument(count, arguments, "--port", 0);
  const auto threads = static_cast<std::size_t>(number_argument(count, arguments, "--threads", 0));
  sleep_time = std::chrono::milliseconds(number_argument(count, arguments, "--sleep", 0));
  const auto policy = policy_argument(count, arguments);
  return sleep_time.count() > 0 ? serve<SleepyEcho>(port, policy, threads)
                                : serve<Echo>(port, policy, threads);
}
