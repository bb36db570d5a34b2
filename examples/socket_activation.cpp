// Serves listening sockets that it inherits at its start, as systemd passes them: sd_listen_fds(3).
// Clients may connect before the program runs, and while it is restarted.

#include <span>
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

}  // namespace

int main(int argc, char** argv) {
  std::vector<net::Socket> sockets;
  for (net::Heirloom& each : net::inherited_sockets()) sockets.push_back(std::move(each.socket));
  if (sockets.empty()) {
    sockets.push_back(net::create_server(net::Address{"127.0.0.1", port(argc, argv)}));
  }
  net::TcpServer<Echo> server{std::span<const net::Address>(), std::move(sockets)};
  serve(server);
}
