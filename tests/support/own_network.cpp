#include "own_network.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace support {
namespace {

void ip(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"ip"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  Process process(command);
  if (process.wait() != 0) throw std::runtime_error("ip: " + process.rest_of_stderr());
}

}  // namespace

std::string why_no_own_network() {
  std::string why;
  // In a thread, as its network ends with it.
  std::thread([&why] {
    try {
      const OwnNetwork network;
      const Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (socket.get() < 0)
        throw std::system_error(errno, std::generic_category(), "packet socket");
    } catch (const std::exception& error) {
      why = error.what();
    }
  }).join();
  return why;
}

OwnNetwork::OwnNetwork() : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (before_.get() < 0 || ::unshare(CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::generic_category(), "unshare");
  }
  ip({"link", "add", left, "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", right,
      "address", "02:00:00:00:00:02"});
  for (const char* const interface : {left, right}) ip({"link", "set", interface, "up"});
}

OwnNetwork::~OwnNetwork() { ::setns(before_.get(), CLONE_NEWNET); }

}  // namespace support
