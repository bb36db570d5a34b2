#include "own_network.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace support {

void ip(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"ip"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  Process process(command);
  if (process.wait() != 0) throw std::runtime_error("ip: " + process.rest_of_stderr());
}

namespace {

Descriptor packet_socket() {
  Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) throw std::system_error(errno, std::generic_category(), "packet socket");
  return socket;
}

// An interface that is up still loses frames for a moment, so this sends frames of its own until
// one arrives.
void wait_until_frames_pass(const char* from, const char* to) {
  constexpr int tries = 500;
  constexpr int each = 10;  // milliseconds
  sockaddr_ll name{};
  name.sll_family = AF_PACKET;
  name.sll_protocol = htons(0x88B6);  // not used by the tests
  name.sll_ifindex = static_cast<int>(::if_nametoindex(to));
  const Descriptor receiver = packet_socket();
  if (::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    throw std::system_error(errno, std::generic_category(), "bind");
  }
  const Descriptor sender = packet_socket();
  name.sll_ifindex = static_cast<int>(::if_nametoindex(from));
  name.sll_halen = 6;
  for (unsigned char& digit : name.sll_addr) digit = 0xff;  // broadcast
  for (int i = 0; i < tries; ++i) {
    ::sendto(sender.get(), "?", 1, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    pollfd polled{receiver.get(), POLLIN, 0};
    if (::poll(&polled, 1, each) == 1) return;
  }
  throw std::runtime_error("no frame passes between the interfaces");
}

// Returns an empty string if this process can make a network and open packet sockets in it.
std::string why_no_own_network() {
  std::string why;
  // In a thread, as the network is destroyed when the thread ends.
  std::thread([&why] {
    try {
      const OwnNetwork network;
      packet_socket();
    } catch (const std::exception& error) {
      why = error.what();
    }
  }).join();
  return why;
}

}  // namespace

boost::test_tools::assertion_result OwnNetwork::may_be_made(boost::unit_test::test_unit_id) {
  static const std::string why_not = why_no_own_network();
  boost::test_tools::assertion_result result(why_not.empty());
  result.message() << "there is no network of its own: " << why_not;
  return result;
}

OwnNetwork::OwnNetwork() : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (before_.get() < 0 || ::unshare(CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::generic_category(), "unshare");
  }
  ip({"link", "add", left, "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", right,
      "address", "02:00:00:00:00:02"});
  for (const char* const interface : {left, right}) ip({"link", "set", interface, "up"});
  wait_until_frames_pass(left, right);
  wait_until_frames_pass(right, left);
}

OwnNetwork::~OwnNetwork() { ::setns(before_.get(), CLONE_NEWNET); }

}  // namespace support
