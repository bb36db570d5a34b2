// Uses its own policy: one thread beside the serving thread runs all requests, in order.

#include "one_worker.hpp"
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
  net::TcpServer<Echo, OneWorker> server{net::Address{"127.0.0.1", port(argc, argv)}};
  serve(server);
}
