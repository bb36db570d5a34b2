// Two servers that run their requests on one pool of four workers.

#include <string>
#include <thread>

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct WhoAmI : net::StreamRequestHandler {
  void handle() { wfile.write("you are " + client_address().to_string() + "\n"); }
};

}  // namespace

int main(int argc, char** argv) {
  const net::SharedPolicy<net::ThreadPool> pool{{.workers = 4}};
  net::TcpServer<Echo> echo{net::Address{"127.0.0.1", port(argc, argv)}, pool};
  net::TcpServer<WhoAmI> who{net::Address{"127.0.0.1", 0}, pool};
  std::jthread second{[&who] { who.serve_forever(); }};
  announce(who);
  serve(echo);
  who.shutdown();
}
