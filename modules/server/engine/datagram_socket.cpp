module;

#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :datagram_socket;
import :forked;
import :unix_reply;

namespace net {
namespace {

// Where no control message is needed, this calls recvfrom and sendto, which are a few percent
// cheaper than recvmsg and sendmsg.

// Buffer space for the control messages that are asked for: IPv4 over an IPv6 socket brings two.
struct Control {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo)) +
                                             CMSG_SPACE(sizeof(in_pktinfo))> bytes{};
};
// A Unix socket gets space for the credentials only, not for the descriptors that a sender may add.
constexpr std::size_t control_of_unix = CMSG_SPACE(sizeof(ucred));

constexpr int patience = 100;  // milliseconds, for the network to take what is being sent

template <class T>
std::span<const std::byte> as_bytes(const T& object) noexcept {
  return std::as_bytes(std::span(&object, 1));
}

Address mapped(in_addr ipv4, std::uint16_t port) {
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(port);
  name.sin6_addr.s6_addr[10] = name.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(&name.sin6_addr.s6_addr[12], &ipv4, sizeof ipv4);
  return Address::from_native(as_bytes(name));
}

// Returns the address that a datagram was sent to, from a control message, with the family and the
// port of the socket. Returns nothing if the message has no address from which an answer can be
// sent.
std::optional<Address> asked_in(const cmsghdr& header, const Address& socket) {
  if (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_PKTINFO) {
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(&header), sizeof info);
    // The local address of the packet. For a broadcast that is the interface's address, if it has
    // one.
    if (info.ipi_spec_dst.s_addr == htonl(INADDR_ANY)) return std::nullopt;
    if (socket.family() == Family::ipv6) return mapped(info.ipi_spec_dst, socket.port());
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(socket.port());
    name.sin_addr = info.ipi_spec_dst;
    return Address::from_native(as_bytes(name));
  }
  if (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(&header), sizeof info);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) return std::nullopt;
    // This is the destination, which may be a broadcast address; IP_PKTINFO has the local address.
    if (IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr)) return std::nullopt;
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(socket.port());
    name.sin6_addr = info.ipi6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) name.sin6_scope_id = info.ipi6_ifindex;
    return Address::from_native(as_bytes(name));
  }
  return std::nullopt;
}

std::optional<PeerCredentials> credentials_in(const cmsghdr& header) {
  if (header.cmsg_level != SOL_SOCKET || header.cmsg_type != SCM_CREDENTIALS) return std::nullopt;
  ucred found{};
  std::memcpy(&found, CMSG_DATA(&header), sizeof found);
  const PeerCredentials sender{found.pid, found.uid, found.gid};
  return names_a_user(sender) ? std::optional(sender) : std::nullopt;
}

template <class Info>
void put(msghdr& message, Control& control, int level, int type, const Info& info) noexcept {
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

void send_from(msghdr& message, Control& control, const Address& from) noexcept {
  if (from.family() == Family::ipv4) {
    sockaddr_in name{};
    std::memcpy(&name, from.native().data(), sizeof name);
    in_pktinfo info{};
    info.ipi_spec_dst = name.sin_addr;
    put(message, control, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    sockaddr_in6 name{};
    std::memcpy(&name, from.native().data(), sizeof name);
    in6_pktinfo info{};
    info.ipi6_addr = name.sin6_addr;
    info.ipi6_ifindex = name.sin6_scope_id;
    put(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

// Precondition: a Unix address that is not unnamed. An abstract name begins with a zero.
bool has_path(const Address& address) noexcept {
  return address.native()[offsetof(sockaddr_un, sun_path)] != std::byte{0};
}

bool is_internet(Family family) noexcept {
  return family == Family::ipv4 || family == Family::ipv6;
}

}  // namespace

void DatagramSocket::prepare(Socket& socket, Family family) {
  const int on = 1;
  if (is_internet(family)) {
    socket.setsockopt(IPPROTO_IP, IP_PKTINFO, as_bytes(on));  // IPv6 sockets have IPv4 clients too
    if (family == Family::ipv6) socket.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, as_bytes(on));
  } else if (family == Family::packet) {
    // Otherwise a server that answers every frame would answer its own answers.
    socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, as_bytes(on));
  } else {
    pass_credentials(socket);
  }
}

DatagramSocket::DatagramSocket(Socket socket, std::size_t max_packet_size, int substitute)
    : socket_(std::move(socket)),
      address_(socket_.getsockname()),
      substitute_(substitute),
      tells_asked_(address_.is_wildcard()),
      tells_sender_(address_.family() == Family::unix_domain),
      room_(max_packet_size) {
  OwnDescriptors::add(fileno());
}

DatagramSocket::~DatagramSocket() { OwnDescriptors::replace(fileno(), substitute_); }

Socket DatagramSocket::take() noexcept {
  OwnDescriptors::remove(fileno());
  return std::move(socket_);
}

std::optional<DatagramSocket::Arrival> DatagramSocket::receive(int& error) {
  sockaddr_storage name{};
  Control control;
  iovec into{room_.data(), room_.size()};
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  const bool with_control = tells_asked_ || tells_sender_;
  if (with_control) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = tells_sender_ ? control_of_unix : control.bytes.size();
  }
  // MSG_TRUNC: the call returns the whole size, however much fits. Not MSG_CMSG_CLOEXEC, which
  // packet sockets refuse: the control buffer has no space for descriptors anyway.
  constexpr int flags = MSG_DONTWAIT | MSG_TRUNC;
  const auto size = with_control
                        ? ::recvmsg(fileno(), &message, flags)
                        : ::recvfrom(fileno(), room_.data(), room_.size(), flags,
                                     reinterpret_cast<sockaddr*>(&name), &message.msg_namelen);
  if (size < 0) {
    error = errno;
    return std::nullopt;
  }
  Arrival arrival;
  arrival.whole_size = static_cast<std::size_t>(size);
  arrival.packet = std::span(room_).first(std::min(arrival.whole_size, room_.size()));
  arrival.asked = address_;
  if (message.msg_namelen > 0) {
    arrival.sender = Address::from_native(as_bytes(name).first(message.msg_namelen));
  } else {
    arrival.sender = Address::unix_unnamed();  // only a Unix sender has no name
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (const auto asked = asked_in(*header, address_)) arrival.asked = *asked;
    if (const auto sender = credentials_in(*header)) arrival.credentials = sender;
  }
  return arrival;
}

int DatagramSocket::reply(const Datagram& datagram, const Address& sender,
                          std::span<const std::byte> bytes) noexcept {
  if (is_internet(sender.family())) {
    if (sender.port() == 0) return EDESTADDRREQ;
  } else if (sender.family() == Family::unix_domain) {
    if (sender.unnamed()) return EDESTADDRREQ;
    if (has_path(sender)) {
      return reply_to_path(fileno(), bytes, sender, datagram.sender_credentials());
    }
  }
  return send(bytes, sender, datagram.local_address());
}

int DatagramSocket::send(std::span<const std::byte> bytes, const Address& to,
                         const Address& from) noexcept {
  Control control;
  iovec out{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = const_cast<std::byte*>(to.native().data());
  message.msg_namelen = static_cast<socklen_t>(to.native().size());
  message.msg_iov = &out;
  message.msg_iovlen = 1;
  if (tells_asked_ && !from.is_wildcard()) send_from(message, control, from);
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  bool waited = false;
  bool refused = false;
  for (;;) {
    const auto sent =
        message.msg_control != nullptr
            ? ::sendmsg(fileno(), &message, flags)
            : ::sendto(fileno(), bytes.data(), bytes.size(), flags,
                       static_cast<const sockaddr*>(message.msg_name), message.msg_namelen);
    if (sent >= 0) return 0;
    if (errno == EINTR) continue;
    // This error was caused by an earlier datagram to another client.
    if (errno == ECONNREFUSED && is_internet(address_.family()) && !std::exchange(refused, true)) {
      continue;
    }
    // A network soon takes what waits in the socket's buffer. A Unix peer may never read, so the
    // server does not wait for it.
    if (errno != EAGAIN || waited || !is_internet(address_.family())) return errno;
    waited = true;
    pollfd polled{fileno(), POLLOUT, 0};
    ::poll(&polled, 1, patience);
  }
}

void DatagramSocket::drop_errors() noexcept {
  // A Unix socket has no error queue: the call would take a datagram.
  if (address_.family() == Family::unix_domain) return;
  msghdr message{};
  for (int i = 0; i < 64 && ::recvmsg(fileno(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0; ++i) {
  }
}

std::uint64_t DatagramSocket::lost() const noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> numbers{};
  socklen_t size = sizeof numbers;
  if (::getsockopt(fileno(), SOL_SOCKET, SO_MEMINFO, numbers.data(), &size) != 0) return 0;
  return numbers[SK_MEMINFO_DROPS];
}

}  // namespace net
