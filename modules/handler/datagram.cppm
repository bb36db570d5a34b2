/// \file
/// `net.handler:datagram`: a received datagram, for its handler.
export module net.handler:datagram;

import net.standard;
import net.socket;

export namespace net {

/// A datagram that a server received, with a way to reply to its sender. It is part of the
/// `RequestContext`; a test of a handler may derive its own.
/// Thread safety: none; only its handler uses it.
class Datagram {
 public:
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;
  virtual ~Datagram();

  /// Returns the received bytes, which are valid as long as the handler exists. An empty datagram
  /// is a request like any other. Python: the first element of `self.request`.
  inline std::span<const std::byte> packet() const noexcept { return packet_; }

  /// Return the size of the datagram when it was sent, and whether that exceeded
  /// `ServerOptions::max_packet_size`. If so, the remaining bytes are lost.
  inline std::size_t whole_size() const noexcept { return whole_size_; }
  inline bool truncated() const noexcept { return whole_size_ > packet_.size(); }

  /// Returns the address that the datagram was sent to, even if the server is bound to 0.0.0.0 or
  /// [::]. No reply can be sent from a broadcast or multicast address; for these, returns the
  /// address of the interface over IPv4, and the address of the server over IPv6.
  inline const Address& local_address() const noexcept { return local_address_; }

  /// Returns the credentials of the sender, as verified by the kernel: the process, and its real
  /// user and group, or others that the process may claim (SCM_CREDENTIALS in unix(7)). Returns
  /// nothing if the sockets are not Unix sockets, if the datagram is older than the server (on an
  /// adopted socket without SO_PASSCRED), or if the user has no ID in this user namespace.
  const std::optional<PeerCredentials>& sender_credentials() const noexcept { return sender_; }

  /// Sends a datagram to the sender, from the address that the request was sent to. You may reply
  /// any number of times, also with empty datagrams. Over IPv4 and IPv6, a server waits for buffer
  /// space, but not longer than 100 ms. Returns false if there is no buffer space, or no recipient:
  /// the sender has closed its socket, has no address, or cannot be reached. The reply is then
  /// dropped, and counted in `Stats::replies_dropped`.
  /// A Unix client at a path receives the reply only if the path is absolute, contains no symbolic
  /// link, and names a socket file that is owned by the user who sent the datagram. Throws
  /// `std::errc::message_size` if the reply is too large for a datagram.
  virtual bool reply(std::span<const std::byte> bytes) = 0;

 protected:
  /// Makes a datagram. The packet must outlive it.
  Datagram(std::span<const std::byte> packet, std::size_t whole_size, const Address& local_address,
           const std::optional<PeerCredentials>& sender = std::nullopt) noexcept;

 private:
  std::span<const std::byte> packet_;
  std::size_t whole_size_;
  Address local_address_;
  std::optional<PeerCredentials> sender_;
};

}  // namespace net
