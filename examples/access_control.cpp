// Serves only clients from 127.0.0.1, and prints the addresses of refused clients.

#include <cstdio>
#include <string>

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

class LocalOnly : public net::ServerHooks {
 public:
  bool verify_request(const net::Socket&, const net::Address& client_address) override {
    if (client_address.host() == "127.0.0.1") return true;
    std::printf("refused %s\n", client_address.host().c_str());
    std::fflush(stdout);
    return false;
  }
};

}  // namespace

int main(int argc, char** argv) {
  LocalOnly hooks;  // before the server, which it must outlive
  net::TcpServer<Echo> server{net::Address{"0.0.0.0", port(argc, argv)}, hooks};
  serve(server);
}
