// An echo server that restarts on SIGHUP without losing a request: the next program gets the
// listener, and this one drains when the next one serves. Argument: a port.

#include <chrono>
#include <csignal>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve.hpp"

import net.handover;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

// Returns whether the next program serves. If it does not start, this program goes on.
bool hands_over(const net::BaseServer& server, const std::vector<std::string>& command) {
  try {
    std::vector<net::Heirloom> heirlooms;
    for (net::Socket& socket : server.duplicate_listeners()) {
      heirlooms.push_back({std::move(socket), "listener"});
    }
    net::Successor successor(command, heirlooms);
    return successor.wait_until_ready(std::chrono::seconds(20));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "not restarted: %s\n", error.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals{};
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::vector<net::Socket> sockets;
  for (net::Heirloom& each : net::inherited_sockets()) sockets.push_back(std::move(each.socket));
  if (sockets.empty()) {
    sockets.push_back(net::create_server(net::Address{"127.0.0.1", port(argc, argv)}));
  }
  net::TcpServer<Echo> server{std::move(sockets)};
  std::thread loop([&] { server.serve_forever(); });
  announce(server);
  net::notify_ready();

  int signal = 0;
  bool ends = false;
  while (!ends && ::sigwait(&signals, &signal) == 0) {
    ends = signal == SIGTERM || hands_over(server, std::vector<std::string>(argv, argv + argc));
  }
  server.shutdown();
  loop.join();
  server.server_close();
}
