// Answers any datagram, even an empty one, with the time: like RFC 868, but as readable text.

#include <ctime>
#include <string>

#include "serve.hpp"

namespace {

std::string time_as_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::string text(std::size("2006-01-02T15:04:05Z"), '\0');
  text.resize(std::strftime(text.data(), text.size(), "%FT%TZ", &parts));
  return text;
}

struct Time : net::DatagramRequestHandler {
  void handle() { reply(time_as_text() + "\n"); }
};

}  // namespace

int main(int argc, char** argv) {
  // A reply is sent from the address that the client has used, although the server is bound to all
  // addresses.
  net::UdpServer<Time> server{net::Address{"0.0.0.0", port(argc, argv)}};
  serve(server);
}
