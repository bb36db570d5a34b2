// Sends files without blocking a worker. The answer to a line with the name of a file is the size,
// in a line, and the content; the answer to "count" is the numbers up to a million. However slowly
// a client reads, the other clients are served.

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <span>
#include <string>

#include "serve.hpp"

namespace {

struct Files : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }

  net::Next handle() {
    if (next_number_ != 0) return go_on_counting();
    auto line = rfile.read_line().value_or("\n");
    line.remove_suffix(line.ends_with('\n') ? 1 : 0);
    if (line.empty()) return net::Next::close;
    if (line == "count") return go_on_counting();
    // Without O_NONBLOCK, a named pipe would block the thread until a program writes to it.
    const net::Descriptor file(
        ::open(std::string(line).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      wfile.write("no such file\n");
      return net::Next::keep;
    }
    wfile.write(std::to_string(status.st_size) + "\n");
    wfile.send_file(file.get());  // returns at once; the server sends when the socket has space
    return net::Next::keep;
  }

  // Writes one piece of the answer. `handle` is called again when the piece has been sent.
  net::Next go_on_counting() {
    std::string piece;
    for (int left = 10'000; left > 0; --left) piece += std::to_string(++next_number_) + "\n";
    wfile.write(piece);
    if (next_number_ < 1'000'000) return net::Next::more;
    next_number_ = 0;
    return net::Next::keep;
  }

  int next_number_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Files> server{net::Address{"127.0.0.1", port(argc, argv)}};
  serve(server);
}
