// One exchange with a server of the installed package. If this builds and runs, the package works.

#include <array>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string_view>
#include <thread>

import net.server;

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

}  // namespace

int main() {
  constexpr std::string_view text = "hello\n";
  net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0}};
  std::thread serving{[&] { server.serve_forever(); }};
  std::array<std::byte, 64> answer{};
  std::size_t size = 0;
  {
    net::Socket client = net::create_connection(server.server_address());
    client.sendall(net::bytes(text));
    while (size < text.size()) {
      const std::size_t count = client.recv(std::span(answer).subspan(size));
      if (count == 0) break;
      size += count;
    }
  }
  server.shutdown();
  serving.join();
  const std::string_view got(reinterpret_cast<const char*>(answer.data()), size);
  if (got == text) return 0;
  std::fprintf(stderr, "expected the line back, got %zu other bytes\n", size);
  return 1;
}
