// Two threads for each client network: a network that keeps its own threads busy does not affect
// the others.

#include "network_pools.hpp"

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  void handle() {
    while (const auto line = rfile.read_line()) wfile.write(*line);
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Echo, NetworkPools> server{net::Address{"127.0.0.1", port(argc, argv)},
                                            NetworkPools::Options{.workers = 2, .ipv4_bits = 32}};
  serve(server);
}
