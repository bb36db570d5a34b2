// Serves each connection in its own process: a handler that crashes affects no other client.

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "serve.hpp"

namespace {

struct Isolated : net::StreamRequestHandler {
  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    if (*line == "crash\n") std::abort();
    wfile.write("process " + std::to_string(::getpid()) + ", request " +
                std::to_string(++requests) + "\n");
    return net::Next::keep;
  }

  int requests = 0;
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Isolated, net::ForkPerRequest> server{
      net::Address{"127.0.0.1", port(argc, argv)},
      net::ForkPerRequest::Options{.max_children = 50}};
  serve(server);
}
