// Runs requests on the threads of an Asio pool, which the program also uses for other work.

#include "asio_policy.hpp"

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
  asio::thread_pool pool(4);
  net::TcpServer<Echo, AsioPolicy> server{net::Address{"127.0.0.1", port(argc, argv)},
                                          AsioPolicy::Options{.pool = &pool}};
  serve(server);
}
