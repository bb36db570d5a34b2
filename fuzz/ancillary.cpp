// Messages with descriptors: checks which descriptors arrive, that a loss is reported, and that
// none stays open.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "fuzz.hpp"

import net.socket;

namespace {

int lowest_free() {
  const int descriptor = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  ::close(descriptor);
  return descriptor;
}

// Adds items of any kind, and reads them back. They are never sent.
void build(FuzzedDataProvider& script) {
  net::Ancillary ancillary;
  std::vector<std::string> added;
  while (script.remaining_bytes() > 0 && added.size() < 20) {
    added.push_back(script.ConsumeRandomLengthString(40));
    ancillary.add(script.ConsumeIntegral<int>(), script.ConsumeIntegral<int>(),
                  net::bytes(added.back()));
  }
  const auto items = ancillary.items();
  require(items.size() == added.size(), "each item is there");
  for (std::size_t i = 0; i < items.size(); ++i) {
    require(std::ranges::equal(items[i].data, net::bytes(added[i])), "an item");
  }
}

struct Sent {
  std::size_t bytes = 0;
  std::size_t descriptors = 0;
};

Sent send(FuzzedDataProvider& script, net::Socket& socket) {
  Sent sent{script.ConsumeIntegralInRange<std::size_t>(1, 100), 0};
  net::Ancillary ancillary;
  if (script.ConsumeBool()) {
    const std::array<int, 3> ids{::getpid(), static_cast<int>(::getuid()),
                                 static_cast<int>(::getgid())};
    ancillary.add(SOL_SOCKET, SCM_CREDENTIALS, std::as_bytes(std::span(ids)));
  }
  const auto count = script.ConsumeIntegralInRange<std::size_t>(0, 20);
  if (count > 0) {
    ancillary.add_descriptors(std::vector<int>(count, socket.fileno()));
    sent.descriptors = count;
  }
  const std::vector<std::byte> bytes(sent.bytes);
  const std::span<const std::byte> buffer(bytes);
  sent.bytes = net::sendmsg(socket, std::span(&buffer, 1), &ancillary);
  return sent;
}

void receive(FuzzedDataProvider& script, net::Socket& socket, const Sent& sent, bool credentials) {
  std::vector<std::byte> bytes(script.ConsumeIntegralInRange<std::size_t>(0, 120));
  const std::span<std::byte> into(bytes);
  const auto room = script.ConsumeIntegralInRange<std::size_t>(0, 100);
  net::Ancillary ancillary(room, script.ConsumeIntegralInRange<std::size_t>(0, 3));
  const bool peek = script.ConsumeBool();
  const auto received = net::try_recvmsg(socket, std::span(&into, 1), &ancillary, {.peek = peek});
  require(received.has_value(), "a message is there");
  require(received->whole_size == sent.bytes, "its size");
  require(received->size == std::min(bytes.size(), sent.bytes), "what fits of it");
  require(received->truncated == (bytes.size() < sent.bytes), "whether it was cut");
  for (const auto& item : ancillary.items()) {
    require(item.level == SOL_SOCKET, "an item that was sent");
    require(credentials || item.type == SCM_RIGHTS, "an item that was asked for");
  }
  const auto descriptors = ancillary.take_descriptors();
  require(descriptors.size() <= sent.descriptors, "no more descriptors than were sent");
  require(received->ancillary_truncated || descriptors.size() == sent.descriptors,
          "a descriptor that is lost is told of");
  for (const net::Descriptor& descriptor : descriptors) {
    require((::fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0, "close-on-exec");
  }
  if (peek) net::try_recvmsg(socket, std::span(&into, 1));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  if (script.ConsumeBool()) {
    build(script);
    return 0;
  }
  const int free = lowest_free();
  {
    auto [ours, theirs] = net::socket_pair(net::SocketType::datagram);
    const int credentials = script.ConsumeBool() ? 1 : 0;
    ::setsockopt(ours.fileno(), SOL_SOCKET, SO_PASSCRED, &credentials, sizeof credentials);
    while (script.remaining_bytes() > 0) {
      const Sent sent = send(script, theirs);
      receive(script, ours, sent, credentials != 0);
    }
  }
  require(lowest_free() == free, "every descriptor is closed");
  return 0;
}
