module;

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <gsl/narrow>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>

module net.socket;

import :native;

namespace net {

static_assert(std::is_same_v<SocketLength, socklen_t>);
static_assert(NativeAddress::most == sizeof(sockaddr_storage) &&
              NativeAddress::alignment == alignof(sockaddr_storage));

const sockaddr* native_pointer(const Address& address) noexcept {
  return reinterpret_cast<const sockaddr*>(address.native().data());
}

SocketLength native_size(const Address& address) noexcept {
  return gsl::narrow_cast<SocketLength>(address.native().size());
}

int native_family(Family family) noexcept {
  switch (family) {
    case Family::ipv4: return AF_INET;
    case Family::ipv6: return AF_INET6;
    case Family::unix_domain: return AF_UNIX;
    case Family::packet: return AF_PACKET;
    case Family::unspecified: break;
  }
  return AF_UNSPEC;
}

Family family_of(int native) noexcept {
  switch (native) {
    case AF_INET: return Family::ipv4;
    case AF_INET6: return Family::ipv6;
    case AF_UNIX: return Family::unix_domain;
    case AF_PACKET: return Family::packet;
    default: return Family::unspecified;
  }
}

int native_type(SocketType type) noexcept {
  switch (type) {
    case SocketType::datagram: return SOCK_DGRAM;
    case SocketType::sequenced_packet: return SOCK_SEQPACKET;
    case SocketType::raw: return SOCK_RAW;
    case SocketType::stream: break;
  }
  return SOCK_STREAM;
}

std::optional<SocketType> type_of(int native) noexcept {
  switch (native) {
    case SOCK_STREAM: return SocketType::stream;
    case SOCK_DGRAM: return SocketType::datagram;
    case SOCK_SEQPACKET: return SocketType::sequenced_packet;
    case SOCK_RAW: return SocketType::raw;
    default: return std::nullopt;
  }
}

int poll_milliseconds(Deadline deadline) noexcept {
  if (deadline.is_never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left()).count();
  return gsl::narrow_cast<int>(
      std::min<std::chrono::milliseconds::rep>(left, std::numeric_limits<int>::max()));
}

}  // namespace net
