// An echo server, with a page that shows its activity. Arguments: a port for the echo, and one for
// the page.

#include "serve.hpp"

import net.monitor;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Echo> server{net::Address{"127.0.0.1", port(argc, argv)}};
  const net::Monitor monitor{net::Address{"127.0.0.1", port(argc - 1, argv + 1)}, server};
  std::printf("monitor on http://%s/\n", monitor.address().to_string().c_str());
  serve(server);
}
