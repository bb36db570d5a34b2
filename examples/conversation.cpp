// A conversation in which the server speaks first. As in Python's socketserver, one call of
// handle() serves the connection from the first word to the last, in a thread of its own.

#include <charconv>
#include <chrono>
#include <string>

#include "serve.hpp"

namespace {

struct Adder : net::StreamRequestHandler {
  void handle() {
    wfile.write("numbers, please; an empty line ends\n");
    long sum = 0;
    while (const auto line = rfile.read_line(80)) {
      if (*line == "\n") break;
      long number = 0;
      std::from_chars(line->data(), line->data() + line->size(), number);
      sum += number;
    }
    wfile.write("sum " + std::to_string(sum) + "\n");
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::ServerOptions options;
  options.limits.idle = std::chrono::seconds(30);  // longer silence ends the conversation
  net::TcpServer<Adder, net::ThreadPerRequest> server{net::Address{"127.0.0.1", port(argc, argv)},
                                                      options};
  serve(server);
}
