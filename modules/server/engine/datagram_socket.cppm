/// \file
/// `net.server:datagram_socket`, internal: receives datagrams from a socket, and sends the answers.
module net.server:datagram_socket;

import net.standard;
import net.socket;
import net.handler;
import :counters;

namespace net {

// Receives datagrams, and answers from the address to which each was sent. The listener and the
// datagrams that are being served share this object. So its descriptor is closed, and the number
// reused, only when no thread sends an answer through it any more. Only one thread at a time may
// call `receive`; any thread may call `reply`.
class DatagramSocket {
 public:
  struct Arrival {
    std::span<const std::byte> packet;  // valid until the next `receive`
    std::size_t whole_size = 0;
    Address sender;
    Address asked;
    std::optional<PeerCredentials> credentials;  // of a Unix sender, if they name a user
  };

  // Makes the kernel add to each datagram the address that it was sent to or, for Unix sockets, the
  // credentials of its sender. To be called before the bind, so that no datagram comes without. A
  // packet socket stops receiving the frames that this host sends.
  static void prepare(Socket& socket, Family family);
  // Precondition: the socket is prepared and bound. `substitute`: see `OwnDescriptors::replace`.
  DatagramSocket(Socket socket, std::size_t max_packet_size, int substitute);
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;
  ~DatagramSocket();

  // Receives a datagram without waiting. If there is none, `error` is the errno of recvmsg(2).
  std::optional<Arrival> receive(int& error);
  // Sends an answer to the sender of `datagram`; waits for 100 ms at most. Returns 0 or an errno.
  int reply(const Datagram& datagram, const Address& sender,
            std::span<const std::byte> bytes) noexcept;
  // Discards the errors in the socket's error queue, which fills if a program set IP_RECVERR: epoll
  // would report them again and again.
  void drop_errors() noexcept;
  // Returns how many datagrams the kernel has dropped because its buffer was full.
  std::uint64_t lost() const noexcept;

  int fileno() const noexcept { return socket_.fileno(); }
  // In a process that was forked after the server was made: closes the descriptor. The object
  // stays, because datagrams may hold it.
  void close_in_child() noexcept { take().close(); }
  // In such a process: takes the socket, for the process's own server.
  Socket take() noexcept;
  const Address& address() const noexcept { return address_; }

 private:
  Socket socket_;
  Address address_;
  int substitute_;
  int send(std::span<const std::byte> bytes, const Address& to, const Address& from) noexcept;

  bool tells_asked_;   // bound to a wildcard: each datagram comes with the address it was sent to
  bool tells_sender_;  // a Unix socket: each datagram comes with the credentials of its sender
  std::vector<std::byte> room_;
};

// A datagram that a handler serves.
class ReceivedDatagram final : public Datagram {
 public:
  // The packet must outlive this.
  ReceivedDatagram(std::shared_ptr<DatagramSocket> socket, Counters& counters,
                   std::span<const std::byte> packet, const DatagramSocket::Arrival& arrival);
  bool reply(std::span<const std::byte> bytes) override;
  // Returns the number of bytes in the answers so far.
  std::size_t replied() const noexcept { return replied_; }
  int fileno() const noexcept { return socket_->fileno(); }

 private:
  std::shared_ptr<DatagramSocket> socket_;
  Counters& counters_;
  Address sender_;
  std::size_t replied_ = 0;
};

}  // namespace net
