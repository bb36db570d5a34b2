/// \file
/// `net.socket:message`: messages of several buffers, with what the kernel carries beside them:
/// descriptors, credentials, and whatever else the system's headers name.
export module net.socket:message;

import net.standard;
import :address;
import :deadline;
import :descriptor;
import :socket;

namespace net {
class MessageHeader;  // interior: what recvmsg and sendmsg take
}

export namespace net {

class Ancillary;

/// How `recvmsg` receives.
struct ReceiveOptions {
  bool peek = false;  ///< leave the message where it is; MSG_PEEK
};

/// What `recvmsg` received.
struct ReceivedMessage {
  std::size_t size = 0;        ///< bytes stored; 0 at the end of a stream
  std::size_t whole_size = 0;  ///< bytes of the datagram, also of what did not fit; MSG_TRUNC
  bool truncated = false;      ///< some did not fit, and are lost
  bool ancillary_truncated =
      false;                   ///< some of the `Ancillary` did not fit, and is lost; MSG_CTRUNC
  bool end_of_record = false;  ///< MSG_EOR
  Address address;             ///< the sender, as of `Socket::recvfrom`
};

/// Receives a message into several buffers, the first filled first, waiting for it if need be.
/// Without an `Ancillary`, whatever came beside the bytes is lost, and descriptors are closed.
/// Received descriptors are close-on-exec. recvmsg(2); Python: `recvmsg_into`.
/// Throws `message_size` for more than 1024 buffers (IOV_MAX).
ReceivedMessage recvmsg(Socket& socket, std::span<const std::span<std::byte>> into,
                        Ancillary* ancillary = nullptr, ReceiveOptions options = {});

/// Receives without waiting; nothing if nothing is there.
std::optional<ReceivedMessage> try_recvmsg(Socket& socket,
                                           std::span<const std::span<std::byte>> into,
                                           Ancillary* ancillary = nullptr,
                                           ReceiveOptions options = {});

/// Sends several buffers as one message, waiting for room if need be; returns how many bytes. On a
/// stream that may be some of them, and the ancillary data go with the first. sendmsg(2).
/// Throws `message_size` for a datagram that is too long, or for more than 1024 buffers (IOV_MAX).
std::size_t sendmsg(Socket& socket, std::span<const std::span<const std::byte>> from,
                    const Ancillary* ancillary = nullptr, const Address* to = nullptr);

/// Sends without waiting; nothing if there is no room.
std::optional<std::size_t> try_sendmsg(Socket& socket,
                                       std::span<const std::span<const std::byte>> from,
                                       const Ancillary* ancillary = nullptr,
                                       const Address* to = nullptr);

/// Sends all bytes of any number of buffers on a stream, within `deadline` in total. After an error
/// it is unknown how many the peer got.
void sendmsg_all(Socket& socket, std::span<const std::span<const std::byte>> from,
                 Deadline deadline = Deadline::never());

/// Sends bytes with copies of descriptors over a Unix socket; returns how many bytes were sent, as
/// `Socket::send` does. The descriptors stay with the caller too. unix(7), SCM_RIGHTS.
/// Throws `invalid_argument` for more than 253 descriptors, and on a stream if there is no byte.
std::size_t send_fds(Socket& socket, std::span<const std::byte> bytes,
                     std::span<const int> descriptors);

/// Receives bytes, and the descriptors that came with them; more than `most` of those are closed.
/// They are close-on-exec (in Python they are not).
std::pair<std::size_t, std::vector<Descriptor>> recv_fds(Socket& socket, std::span<std::byte> into,
                                                         std::size_t most);

/// Holds what goes beside the bytes of a message, to be sent or as it was received. cmsg(3).
///
/// Descriptors that were received and not taken are closed with the object, or by its next receive.
///
/// Thread safety: distinct objects, safe; one object, by one thread at a time.
class Ancillary {
 public:
  /// Is one thing beside the message. The data live as long as the object is neither received into
  /// nor added to.
  struct Item {
    int level;                        ///< SOL_SOCKET, …
    int type;                         ///< SCM_RIGHTS, …
    std::span<const std::byte> data;  ///< without the header
  };

  /// Makes room for receiving so many items, whose data are `room` bytes together. An object that
  /// is only sent needs none. Throws `invalid_argument` beyond 16 Mi of either. Python: `CMSG_LEN`,
  /// `CMSG_SPACE`.
  explicit Ancillary(std::size_t room = 0, std::size_t items = 1);

  Ancillary(Ancillary&& other) noexcept = default;
  Ancillary& operator=(Ancillary&& other) noexcept = default;
  ~Ancillary();

  /// Adds an item to send.
  void add(int level, int type, std::span<const std::byte> data);

  /// Adds copies of descriptors to send; they stay with the caller, and open until they are sent.
  /// Throws `invalid_argument` for more than 253 in one message (SCM_MAX_FD).
  void add_descriptors(std::span<const int> descriptors);

  /// Returns what was received, or added. Numbers of descriptors in it are for looking at:
  /// `take_descriptors` gives the descriptors themselves.
  std::vector<Item> items() const;

  /// Returns the descriptors that were received, in order, and leaves none behind.
  std::vector<Descriptor> take_descriptors();

 private:
  friend class MessageHeader;
  void make_room();
  bool keep(std::size_t size) noexcept;  // false if a descriptor was lost

  std::size_t room_ = 0;            // to receive, headers included
  std::vector<std::byte> control_;  // items as the system wants them, or stored them
  std::vector<Descriptor> descriptors_;
};

}  // namespace net
