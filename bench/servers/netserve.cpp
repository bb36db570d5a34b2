// netserve, with --policy pool (the default), inline, thread or fork. --threads N is the size of
// the pool. Serves TCP, or --udp, or --unix PATH.
// --conversation: `void handle()`, which keeps its thread, instead of a call for each request.
// --framed: requests are blocks of 64 bytes; with --loop, one call answers all that have arrived.
// work.h lists what handlers of TCP can do beside echoing.

#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>

#include "arguments.h"
#include "work.h"

import net.server;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct Conversation : net::StreamRequestHandler {
  void handle() {
    for (auto bytes = rfile.read_some(); !bytes.empty(); bytes = rfile.read_some()) {
      wfile.write(bytes);
    }
  }
};

void answer_after_work(std::string_view request, net::StreamWriter& wfile) {
  if (do_work(request.data(), request.size()) && work.mark) {
    std::string marked(request);
    do_mark(marked.data());
    wfile.write(marked);
  } else {
    wfile.write(request);
  }
}

struct WorkingEcho : net::StreamRequestHandler {
  net::Next handle() {
    answer_after_work(rfile.read_some(), wfile);
    return net::Next::keep;
  }
};

struct WorkingConversation : net::StreamRequestHandler {
  void handle() {
    for (auto bytes = rfile.read_some(); !bytes.empty(); bytes = rfile.read_some()) {
      answer_after_work(bytes, wfile);
    }
  }
};

struct Framed : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return received.size() < frame_size ? 0 : frame_size;
  }
  net::Next handle() {
    // Fewer bytes are there only at the end of the stream.
    if (rfile.buffered().size() < frame_size) return net::Next::close;
    wfile.write(rfile.read_exactly(frame_size));
    return net::Next::keep;
  }
};

// Answers a pipeline at once, by a loop as you would write it by hand.
struct FramedLoop : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return Framed::request_size(received);
  }
  net::Next handle() {
    if (rfile.buffered().size() < frame_size) return net::Next::close;
    std::string answers;
    while (rfile.buffered().size() >= frame_size) answers += rfile.read_exactly(frame_size);
    wfile.write(answers);
    return net::Next::keep;
  }
};

struct DatagramEcho : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
};

// `Server`: a template whose only parameter is the policy.
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

// A server with this handler, as a template whose only parameter is the policy.
template <class Handler>
struct Tcp {
  template <class Policy>
  using Server = net::TcpServer<Handler, Policy>;
};
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
  take_work(count, arguments);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto threads = static_cast<std::size_t>(number_argument(count, arguments, "--threads", 0));
  const auto policy = policy_argument(count, arguments);
  if (const char* const path = text_argument(count, arguments, "--unix")) {
    return serve<UnixStream>(net::Address::unix_path(path), policy, threads);
  }
  const int port = number_argument(count, arguments, "--port", 0);
  const net::Address address{"127.0.0.1", static_cast<std::uint16_t>(port)};
  if (has_argument(count, arguments, "--udp")) return serve<Udp>(address, policy, threads);
  const auto serve_tcp = [&]<class Handler>(std::type_identity<Handler>) {
    return serve<Tcp<Handler>::template Server>(address, policy, threads);
  };
  if (has_argument(count, arguments, "--loop")) return serve_tcp(std::type_identity<FramedLoop>());
  if (has_argument(count, arguments, "--framed")) return serve_tcp(std::type_identity<Framed>());
  if (has_argument(count, arguments, "--conversation")) {
    return work.given ? serve_tcp(std::type_identity<WorkingConversation>())
                      : serve_tcp(std::type_identity<Conversation>());
  }
  return work.given ? serve_tcp(std::type_identity<WorkingEcho>())
                    : serve_tcp(std::type_identity<Echo>());
}
