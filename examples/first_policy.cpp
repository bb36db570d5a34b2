// A policy of ten lines, and a server that uses it.

#include "serve.hpp"
// The second header imports a module: GCC 15 does not accept <atomic>, which serve.hpp includes,
// after an import.
#include "first_policy.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Echo, FirstPolicy> server{net::Address{"127.0.0.1", port(argc, argv)}};
  serve(server);
}
