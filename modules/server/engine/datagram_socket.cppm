/// \file
/// `net.server:datagram_socket`, internal: what is received from a socket of datagrams, and sent
/// back.
module net.server:datagram_socket;

import net.standard;
import net.socket;
import net.handler;
import :counters;

namespace net {

// Receives, and sends from the address that was asked. Shared by the listener and the datagrams
// that are being served, so that its descriptor is closed, and its number reused, only when
// nobody answers by it any more. `receive` by one thread at a time, `send` from any.
class DatagramSocket {
 public:
  struct Arrival {
    std::span<const std::byte> packet;  // until the next receive
    std::size_t whole_size = 0;
    Address sender;
    Address asked;
    std::optional<PeerCredentials> credentials;  // of a Unix sender, if they name a user
  };

  // Has each datagram tell where it was sent to, or who sent it; before the bind, so that none
  // comes without.
  static void prepare(Socket& socket, Family family);
  // Precondition: prepared and bound.
  // The substitute is for OwnDescriptors.
  DatagramSocket(Socket socket, std::size_t max_packet_size, int substitute);
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;
  ~DatagramSocket();

  // Takes a datagram without waiting; else the error is what recvmsg(2) said.
  std::optional<Arrival> receive(int& error);
  // Sends one to who sent `datagram`, hardly waiting; returns 0, or an error of errno.
  int reply(const Datagram& datagram, const Address& sender,
            std::span<const std::byte> bytes) noexcept;
  // Forgets errors that wait to be asked for, if a program set IP_RECVERR: epoll tells of them
  // again and again.
  void drop_errors() noexcept;
  // How many the kernel has dropped for want of room.
  std::uint64_t lost() const noexcept;

  int fileno() const noexcept { return socket_.fileno(); }
  // In a process that was forked since: the object stays as datagrams may hold it.
  void close_in_child() noexcept { take().close(); }
  // In such a process, for its own server.
  Socket take() noexcept;
  const Address& address() const noexcept { return address_; }

 private:
  Socket socket_;
  Address address_;
  int substitute_;
  int send(std::span<const std::byte> bytes, const Address& to, const Address& from) noexcept;

  bool tells_asked_;   // bound to a wildcard
  bool tells_sender_;  // a Unix socket
  std::vector<std::byte> room_;
};

// A datagram in the hand of its handler.
class ReceivedDatagram final : public Datagram {
 public:
  // The packet must outlive this.
  ReceivedDatagram(std::shared_ptr<DatagramSocket> socket, Counters& counters,
                   std::span<const std::byte> packet, const DatagramSocket::Arrival& arrival);
  bool reply(std::span<const std::byte> bytes) override;
  // How many bytes it was answered with so far.
  std::size_t replied() const noexcept { return replied_; }
  int fileno() const noexcept { return socket_->fileno(); }

 private:
  std::shared_ptr<DatagramSocket> socket_;
  Counters& counters_;
  Address sender_;
  std::size_t replied_ = 0;
};

}  // namespace net
