module;

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :datagram_socket;

// What happens to the answer to a datagram: a part of net.server:datagram_socket.

namespace net {

ReceivedDatagram::ReceivedDatagram(std::shared_ptr<DatagramSocket> socket, Counters& counters,
                                   std::span<const std::byte> packet,
                                   const DatagramSocket::Arrival& arrival)
    : Datagram(packet, arrival.whole_size, arrival.asked, arrival.credentials),
      socket_(std::move(socket)),
      counters_(counters),
      sender_(arrival.sender) {}

bool ReceivedDatagram::reply(std::span<const std::byte> bytes) {
  const int error = socket_->reply(*this, sender_, bytes);
  if (error == 0) {
    counters_.reply();
    replied_ += bytes.size();
    return true;
  }
  counters_.reply_dropped();
  // For a Unix client, this means that its file belongs to another user, or that this server may
  // not write to it. On a network, it means that this host itself forbids the answer, for example
  // by a firewall. The handler has to know that.
  const bool forbidden = error == EACCES || error == EPERM;
  if (forbidden && sender_.family() == Family::unix_domain) return false;
  switch (error) {
    case EDESTADDRREQ:  // the sender has no name, a relative one, or port 0
    case ELOOP:         // a symbolic link is in its path
    case ENOTDIR:
    case EMFILE:  // no descriptor to check the client's file with
    case ENFILE:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
    case ENOTCONN:
    case EPIPE:
    case EPROTOTYPE:  // a socket of another type has the name now
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case ENXIO: return false;
    default: throw_system_error(error, "reply to " + sender_.to_string());
  }
}

}  // namespace net
