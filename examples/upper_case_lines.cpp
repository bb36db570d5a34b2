// Answers each line in upper case. The server receives a whole line before a worker runs, so a
// client that types slowly occupies no thread.

#include <cctype>
#include <cstddef>
#include <span>
#include <string>

#include "serve.hpp"

namespace {

struct UpperCase : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }

  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    std::string answer(*line);
    for (char& c : answer) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    wfile.write(answer);
    return net::Next::keep;
  }
};

}  // namespace

int main(int argc, char** argv) {
  net::ServerOptions options;
  options.max_request_size = 1000;  // a longer line ends the connection
  net::TcpServer<UpperCase> server{net::Address{"127.0.0.1", port(argc, argv)}, options};
  serve(server);
}
