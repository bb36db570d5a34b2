// Looks names up, which may take long and has no timeout. Each look-up has a thread of its own, so
// none waits for another. Between two look-ups a client has no thread.

#include <cstddef>
#include <span>
#include <string>
#include <system_error>

#include "serve.hpp"

namespace {

struct LookUp : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }

  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    std::string answer;
    try {
      for (const net::Address& address : net::resolve(line->substr(0, line->find('\n')), 0)) {
        answer += address.host() + " ";
      }
    } catch (const std::system_error& error) {
      answer = error.what();
    }
    wfile.write(answer + "\n");
    return net::Next::keep;
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<LookUp, net::ThreadPerRequest> server{
      net::Address{"127.0.0.1", port(argc, argv)},
      net::ThreadPerRequest::Options{.max_threads = 100}};
  serve(server);
}
