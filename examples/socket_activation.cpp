// Serves listening sockets that it is handed at its start, as systemd hands them over:
// sd_listen_fds(3). Clients may connect before it runs, and while it is restarted.

#include <unistd.h>

#include <span>
#include <utility>
#include <vector>

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

int number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : 0;
}

// They are the descriptors from 3 on, if they are meant for this process.
std::vector<net::Socket> handed_over() {
  std::vector<net::Socket> sockets;
  const int count = number_in("LISTEN_PID") == ::getpid() ? number_in("LISTEN_FDS") : 0;
  for (int i = 0; i < count; ++i) {
    sockets.push_back(net::Socket::adopt(3 + i));
    sockets.back().set_inheritable(false);
  }
  return sockets;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<net::Socket> sockets = handed_over();
  if (sockets.empty()) {
    sockets.push_back(net::create_server(net::Address{"127.0.0.1", port(argc, argv)}));
  }
  net::TcpServer<Echo> server{std::span<const net::Address>(), std::move(sockets)};
  serve(server);
}
