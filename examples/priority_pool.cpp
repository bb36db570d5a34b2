// Serves clients of this host first: an operator gets an answer however many other clients wait.

#include "priority_pool.hpp"

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Echo, PriorityPool> server{
      net::Address{"127.0.0.1", port(argc, argv)},
      PriorityPool::Options{.workers = 4, .first = net::Networks("127.0.0.1")}};
  serve(server);
}
