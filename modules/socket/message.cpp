module;

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <gsl/narrow>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

module net.socket;

import :native;
import :waiting;

namespace net {
namespace {

// Packet sockets reject MSG_CMSG_CLOEXEC, and receive no descriptors. Keeps errno.
bool is_packet_socket(int descriptor) noexcept {
  const int error = errno;
  int family = 0;
  socklen_t size = sizeof family;
  ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size);
  errno = error;
  return family == AF_PACKET;
}

}  // namespace

// A msghdr, and the buffers that it points to. It is on the stack, so that sending a message
// allocates nothing; unused buffers are not even initialized.
class MessageHeader {
 public:
  template <class Byte>
  explicit MessageHeader(std::span<const std::span<Byte>> buffers) {
    if (buffers.size() > buffers_.size()) {
      throw_system_error(EMSGSIZE, "message of " + std::to_string(buffers.size()) +
                                       " buffers, which takes " + std::to_string(buffers_.size()));
    }
    for (std::size_t at = 0; at < buffers.size(); ++at) {
      // The system has one structure for both directions.
      buffers_[at].iov_base = const_cast<std::byte*>(buffers[at].data());
      buffers_[at].iov_len = buffers[at].size();
    }
    header_.msg_iov = buffers_.data();
    header_.msg_iovlen = buffers.size();
  }
  MessageHeader(std::span<const std::span<const std::byte>> buffers, const Ancillary* ancillary,
                const Address* to)
      : MessageHeader(buffers) {
    if (ancillary != nullptr) set_control(*ancillary);
    if (to == nullptr) return;
    header_.msg_name = const_cast<std::byte*>(to->native().data());
    header_.msg_namelen = native_size(*to);
  }
  MessageHeader(const MessageHeader&) = delete;
  MessageHeader& operator=(const MessageHeader&) = delete;

  // Omits bytes that were sent already. Precondition: fewer than in the first buffer.
  void skip(std::size_t bytes) noexcept {
    iovec& first = buffers_.front();
    first.iov_base = static_cast<std::byte*>(first.iov_base) + bytes;
    first.iov_len -= bytes;
  }

  // Returns nothing if the call failed; errno tells why.
  std::optional<std::size_t> send_on(const Operation& operation) const noexcept {
    const auto count = ::sendmsg(operation.fileno(), &header_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) return std::nullopt;
    operation.note_sent(gsl::narrow_cast<std::size_t>(count));
    return gsl::narrow_cast<std::size_t>(count);
  }

  std::optional<ReceivedMessage> receive_on(Operation& operation, int flags, Ancillary* ancillary) {
    NativeAddress sender;
    header_.msg_name = sender.pointer();
    header_.msg_namelen = *sender.size();
    if (ancillary != nullptr) {
      ancillary->make_room();
      set_control(*ancillary);
    }
    flags |= MSG_DONTWAIT;
    auto count = ::recvmsg(operation.fileno(), &header_, flags | MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINVAL && is_packet_socket(operation.fileno())) {
      count = ::recvmsg(operation.fileno(), &header_, flags);
    }
    if (count < 0) {
      if (ancillary != nullptr) ancillary->keep(0);
      return std::nullopt;
    }
    // Must come before anything that can throw, since the message may contain descriptors.
    const bool kept = ancillary == nullptr || ancillary->keep(header_.msg_controllen);
    *sender.size() = header_.msg_namelen;
    ReceivedMessage received;
    received.whole_size = gsl::narrow_cast<std::size_t>(count);
    received.size = std::min(received.whole_size, room());
    operation.note(Socket::Received::perhaps_more, (flags & MSG_PEEK) != 0 ? 0 : received.size);
    received.truncated = (header_.msg_flags & MSG_TRUNC) != 0;
    received.ancillary_truncated = (header_.msg_flags & MSG_CTRUNC) != 0 || !kept;
    received.end_of_record = (header_.msg_flags & MSG_EOR) != 0;
    received.address = sender.address();
    return received;
  }

 private:
  void set_control(const Ancillary& ancillary) noexcept {
    header_.msg_control = const_cast<std::byte*>(ancillary.control_.data());
    header_.msg_controllen = ancillary.control_.size();
  }

  std::size_t room() const noexcept {
    std::size_t sum = 0;
    for (const iovec& buffer : std::span(buffers_).first(header_.msg_iovlen)) sum += buffer.iov_len;
    return sum;
  }

  msghdr header_{};
  std::array<iovec, IOV_MAX> buffers_;
};

namespace {

using SendBuffers = std::span<const std::span<const std::byte>>;
using ReceiveBuffers = std::span<const std::span<std::byte>>;

// On a stream, MSG_TRUNC would discard the bytes: tcp(7).
int native_flags(const Operation& operation, ReceiveOptions options) {
  return (options.peek ? MSG_PEEK : 0) | (operation.takes_a_stream() ? 0 : MSG_TRUNC);
}

}  // namespace

ReceivedMessage recvmsg(Socket& socket, ReceiveBuffers into, Ancillary* ancillary,
                        ReceiveOptions options) {
  Operation operation(socket, "receive");
  MessageHeader header(into);
  const int flags = native_flags(operation, options);
  for (;;) {
    if (const auto received = header.receive_on(operation, flags, ancillary)) return *received;
    if (!operation.goes_on_receiving(errno)) return {};
  }
}

std::optional<ReceivedMessage> try_recvmsg(Socket& socket, ReceiveBuffers into,
                                           Ancillary* ancillary, ReceiveOptions options) {
  Operation operation(socket, "receive");
  MessageHeader header(into);
  const int flags = native_flags(operation, options);
  for (;;) {
    if (const auto received = header.receive_on(operation, flags, ancillary)) return received;
    if (errno == EAGAIN) {
      operation.note(Socket::Received::all);
      return std::nullopt;
    }
    operation.goes_on_receiving(errno);
  }
}

std::size_t sendmsg(Socket& socket, SendBuffers from, const Ancillary* ancillary,
                    const Address* to) {
  Operation operation(socket, "send", to);
  const MessageHeader header(from, ancillary, to);
  for (;;) {
    if (const auto count = header.send_on(operation)) return *count;
    operation.go_on_sending(errno);
  }
}

std::optional<std::size_t> try_sendmsg(Socket& socket, SendBuffers from, const Ancillary* ancillary,
                                       const Address* to) {
  Operation operation(socket, "send", to);
  const MessageHeader header(from, ancillary, to);
  for (;;) {
    if (const auto count = header.send_on(operation)) return count;
    if (errno == EAGAIN) return std::nullopt;
    operation.go_on_sending(errno);
  }
}

void sendmsg_all(Socket& socket, SendBuffers from, Deadline deadline) {
  Operation operation(socket, "send", deadline);
  std::size_t sent = 0;  // of the first buffer
  for (;;) {
    while (!from.empty() && sent >= from.front().size()) {
      sent -= from.front().size();
      from = from.subspan(1);
    }
    if (from.empty()) return;
    MessageHeader header(from.first(std::min<std::size_t>(from.size(), IOV_MAX)));
    header.skip(sent);
    if (const auto count = header.send_on(operation)) {
      sent += *count;
    } else {
      operation.go_on_sending(errno);
    }
  }
}

std::size_t send_fds(Socket& socket, std::span<const std::byte> bytes,
                     std::span<const int> descriptors) {
  // The kernel would silently drop the descriptors: unix(7).
  if (bytes.empty() && socket.type() == SocketType::stream) {
    throw_system_error(EINVAL, "send descriptors without a byte");
  }
  Ancillary ancillary;
  ancillary.add_descriptors(descriptors);
  return sendmsg(socket, std::span(&bytes, 1), &ancillary);
}

std::pair<std::size_t, std::vector<Descriptor>> recv_fds(Socket& socket, std::span<std::byte> into,
                                                         std::size_t most) {
  Ancillary ancillary(std::min(most, most_descriptors) * sizeof(int));
  const auto received = recvmsg(socket, std::span(&into, 1), &ancillary);
  return {received.size, ancillary.take_descriptors()};
}

}  // namespace net
