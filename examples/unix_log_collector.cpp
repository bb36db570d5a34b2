// Collects log messages of programs on this host, one per datagram, and numbers them. There are no
// replies, so a client needs no name. Try logger --socket FILE --prio-prefix, or
// socat - UNIX-SENDTO:FILE.

#include <cstdio>
#include <string>
#include <string_view>

#include "serve.hpp"

namespace {

class Log {
 public:
  void write(std::string_view text) {
    std::printf("%d %s\n", ++count_, std::string(text).c_str());
    std::fflush(stdout);
  }

 private:
  int count_ = 0;
};

class Entry : public net::DatagramRequestHandler {
 public:
  explicit Entry(Log& log) : log_(log) {}

  void handle() {
    log_.write(rfile.read_some());
    if (datagram().truncated()) log_.write("(the rest of it is lost)");
  }

 private:
  Log& log_;
};

}  // namespace

int main(int argc, char** argv) {
  Log log;
  net::ServerOptions options;
  options.max_packet_size = 1000;
  options.unix_mode = 0666;  // all users may log
  // Inline: runs one request after another, in the order of arrival, so the log needs no lock.
  net::UnixDatagramServer<Entry, net::Inline> server{unix_address(argc, argv), options,
                                                     [&log] { return Entry(log); }};
  serve(server);
}
