// One exchange with a server of the installed package: whoever can build and run this can use it.

#include <cstdio>
#include <string>
#include <thread>

import net.server;

namespace {

struct Echo : net::BaseRequestHandler {
  net::Next handle() {
    const std::string data = request->receive();
    if (data.empty()) return net::Next::close;
    request->send(data);
    return net::Next::keep;
  }
};

}  // namespace

int main() {
  net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0}};
  std::jthread serving{[&] { server.handle_request(); }};
  std::string answer;
  {
    net::Socket client = net::create_connection(server.server_address());
    client.send("hello\n");
    answer = client.receive();
  }
  if (answer == "hello\n") return 0;
  std::fprintf(stderr, "expected the line back, got '%s'\n", answer.c_str());
  return 1;
}
