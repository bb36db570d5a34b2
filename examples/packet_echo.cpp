// Sends frames of a private protocol back to their senders. The argument is the network interface;
// the program needs the capability CAP_NET_RAW.

#include <cstdio>
#include <system_error>

#include "serve.hpp"

namespace {

constexpr std::uint16_t for_experiments = 0x88B5;  // IEEE 802, local experimental EtherType 1

// The packet is the data after the header. The kernel removes and adds the header.
struct EchoFrame : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const char* const interface = argc > 1 ? argv[1] : "lo";
    net::PacketServer<EchoFrame> server{net::Address::packet(interface, for_experiments)};
    serve(server);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
