// netserve: --policy pool (the default), inline, thread or fork; --threads N is the size of the
// pool. TCP, or --udp, or --unix PATH.
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

struct DatagramEcho : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
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

// Server: of a policy, which is its only parameter.
template <template <class> class Server, class Policy>
int serve(const net::Address& address, typename Policy::Options policy_options) {
  sigset_t stop;  // blocked before there are threads, which inherit it
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  Server<Policy> server{address, policy_options};
  std::thread serving([&server] { server.serve_forever(); });
  const net::Address& bound = server.server_address();
  if (bound.family() == net::Family::unix_domain) {
    say_listening_at(bound.path().c_str());
  } else {
    say_listening(bound.port());
  }
  int signal = 0;
  sigwait(&stop, &signal);
  server.server_close();
  serving.join();
  return EXIT_SUCCESS;
}

template <template <class> class Server>
int serve(const net::Address& address, std::string_view policy, std::size_t threads) {
  if (policy == "inline") return serve<Server, net::Inline>(address, {});
  if (policy == "thread") {
    return serve<Server, net::ThreadPerRequest>(address, {.max_threads = 4096});
  }
  if (policy == "fork") return serve<Server, net::ForkPerRequest>(address, {.max_children = 1024});
  return serve<Server, net::ThreadPool>(address, {.workers = threads});
}

template <class Policy>
using Tcp = net::TcpServer<Echo, Policy>;
template <class Policy>
using SleepyTcp = net::TcpServer<SleepyEcho, Policy>;
template <class Policy>
using Udp = net::UdpServer<DatagramEcho, Policy>;
template <class Policy>
using UnixStream = net::UnixStreamServer<Echo, Policy>;

std::string_view policy_argument(int count, char** arguments) {
  const char* const policy = text_argument(count, arguments, "--policy");
  return policy != nullptr ? policy : "pool";
}

}  // namespace

int main(int count, char** arguments) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto threads = static_cast<std::size_t>(number_argument(count, arguments, "--threads", 0));
  sleep_time = std::chrono::milliseconds(number_argument(count, arguments, "--sleep", 0));
  const auto policy = policy_argument(count, arguments);
  if (const char* const path = text_argument(count, arguments, "--unix")) {
    return serve<UnixStream>(net::Address::unix_path(path), policy, threads);
  }
  const int port = number_argument(count, arguments, "--port", 0);
  const net::Address address{"127.0.0.1", static_cast<std::uint16_t>(port)};
  if (has_argument(count, arguments, "--udp")) return serve<Udp>(address, policy, threads);
  return sleep_time.count() > 0 ? serve<SleepyTcp>(address, policy, threads)
                                : serve<Tcp>(address, policy, threads);
}
