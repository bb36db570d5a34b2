// Sends each client its own address, which the PROXY header of a proxy names: HAProxy, nginx, or
// the load balancer of a cloud. Arguments: a port, and the policy.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "serve.hpp"

namespace {

struct Who : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }

  net::Next handle() {
    if (!rfile.read_line()) return net::Next::close;
    const net::Address* const proxy = context().proxy_address();
    wfile.write(client_address().host() + " through " +
                (proxy != nullptr ? proxy->host() : std::string("no proxy")) + "\n");
    return net::Next::keep;
  }
};

template <class Policy>
void serve_by(std::uint16_t port) {
  net::ServerOptions options;
  options.proxy_protocol = net::ProxyProtocol{.trusted = net::Networks("127.0.0.0/8, 10.0.0.0/8")};
  net::TcpServer<Who, Policy> server{net::Address{"127.0.0.1", port}, options};
  serve(server);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view policy = argc > 2 ? argv[2] : "pool";
  if (policy == "thread") {
    serve_by<net::ThreadPerRequest>(port(argc, argv));
  } else if (policy == "fork") {
    serve_by<net::ForkPerRequest>(port(argc, argv));
  } else if (policy == "inline") {
    serve_by<net::Inline>(port(argc, argv));
  } else {
    serve_by<net::ThreadPool>(port(argc, argv));
  }
}
