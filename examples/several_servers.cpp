// Echoes over TCP and over UDP in one thread. The loop is the program's own, and waits for other
// events too: here, for a signal.

#include <poll.h>
#include <sys/signalfd.h>

#include <array>
#include <chrono>

#include "serve.hpp"

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct EchoDatagram : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
};

// Returns a descriptor that is readable when the program should end.
net::Descriptor stop_signals() {
  sigset_t signals{};
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return net::Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC));
}

}  // namespace

int main(int argc, char** argv) {
  const net::Descriptor stop = stop_signals();
  net::ServerOptions options;
  options.timeout = std::chrono::seconds(0);  // handle_request does not wait: our poll does
  const net::Address address{"127.0.0.1", port(argc, argv)};
  net::TcpServer<Echo, net::Inline> tcp{address, options};
  net::UdpServer<EchoDatagram, net::Inline> udp{address, options};
  announce(tcp);
  announce(udp);
  std::array<pollfd, 3> polled{
      {{stop.get(), POLLIN, 0}, {tcp.fileno(), POLLIN, 0}, {udp.fileno(), POLLIN, 0}}};
  while (::poll(polled.data(), polled.size(), -1) >= 0 && polled[0].revents == 0) {
    if (polled[1].revents != 0) tcp.handle_request();
    if (polled[2].revents != 0) udp.handle_request();
  }
}
