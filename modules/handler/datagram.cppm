/// \file
/// `net.handler:datagram`: what a datagram handler is given.
export module net.handler:datagram;

import net.standard;
import net.socket;

export namespace net {

/// A datagram that a server received, and the way back to its sender. Part of the
/// `RequestContext`; a test of a handler may derive its own.
/// Thread safety: none; its handler has it alone.
class Datagram {
 public:
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;
  virtual ~Datagram();

  /// Returns what was received: nothing for an empty datagram, which is a request like any other.
  /// Valid as long as the handler. Python: the first of `self.request`.
  inline std::span<const std::byte> packet() const noexcept { return packet_; }

  /// Returns how large it was when it was sent, and tells whether that was more than
  /// `ServerOptions::max_packet_size`: the rest of it is lost.
  inline std::size_t whole_size() const noexcept { return whole_size_; }
  inline bool truncated() const noexcept { return whole_size_ > packet_.size(); }

  /// Returns the address that it was sent to, also of a server on 0.0.0.0 or [::]. For a broadcast
  /// or multicast, from which no answer can leave, returns the address of the interface over IPv4,
  /// and that of the server over IPv6.
  inline const Address& local_address() const noexcept { return local_address_; }

  /// Returns who sent it, as the kernel vouches for it: the process, and its real user and group.
  /// Nothing if the sockets are not Unix sockets, if the datagram is older than the server (of an
  /// adopted socket without SO_PASSCRED), or if the user has no number in this user namespace.
  const std::optional<PeerCredentials>& sender_credentials() const noexcept { return sender_; }

  /// Sends a datagram to the sender, from the address that was asked. Also an empty one, and as
  /// many as you like. False if there is nobody (who sent it has gone, or has no address), or no
  /// room at once: datagrams are dropped then, and counted in `Stats::replies_dropped`.
  /// A Unix client at a path gets it only if the path is absolute, holds no symbolic link, and
  /// names a socket file of the user that sent the datagram. Throws `std::errc::message_size` if it
  /// is too large for a datagram.
  virtual bool reply(std::span<const std::byte> bytes) = 0;

 protected:
  /// The packet must outlive this.
  Datagram(std::span<const std::byte> packet, std::size_t whole_size, const Address& local_address,
           const std::optional<PeerCredentials>& sender = std::nullopt) noexcept;

 private:
  std::span<const std::byte> packet_;
  std::size_t whole_size_;
  Address local_address_;
  std::optional<PeerCredentials> sender_;
};

}  // namespace net
