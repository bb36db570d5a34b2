/// \file
/// `net.socket:message`: messages of several buffers, with their ancillary data: descriptors,
/// credentials, and any other kind that the headers of the system define.
export module net.socket:message;

import net.standard;
import :address;
import :deadline;
import :descriptor;
import :socket;

namespace net {
class MessageHeader;  // internal: the arguments of recvmsg and sendmsg
}

export namespace net {

class Ancillary;

/// The options of `recvmsg`.
struct ReceiveOptions {
  bool peek = false;  ///< leave the message in the queue; MSG_PEEK
};

/// The result of `recvmsg`.
struct ReceivedMessage {
  std::size_t size = 0;        ///< bytes stored; 0 at the end of a stream
  std::size_t whole_size = 0;  ///< bytes of the datagram, including any that did not fit; MSG_TRUNC
  bool truncated = false;      ///< some bytes did not fit, and are lost unless `peek` is set
  bool ancillary_truncated = false;  ///< the same for the ancillary data; MSG_CTRUNC
  bool end_of_record = false;        ///< MSG_EOR
  Address address;                   ///< the sender, as returned by `Socket::recvfrom`
};

/// Receives a message into several buffers, which are filled in order. Waits for a message if there
/// is none. Without an `Ancillary`, the ancillary data are lost, and descriptors in them are
/// closed. Received descriptors are close-on-exec. recvmsg(2); Python: `recvmsg_into`.
/// Throws `message_size` for more than 1024 buffers (IOV_MAX).
ReceivedMessage recvmsg(Socket& socket, std::span<const std::span<std::byte>> into,
                        Ancillary* ancillary = nullptr, ReceiveOptions options = {});

/// Receives without waiting. Returns nothing if there is no message.
std::optional<ReceivedMessage> try_recvmsg(Socket& socket,
                                           std::span<const std::span<std::byte>> into,
                                           Ancillary* ancillary = nullptr,
                                           ReceiveOptions options = {});

/// Sends several buffers as one message, and waits for buffer space if necessary. Returns the
/// number of bytes sent. On a stream, this may be only a part of them; the ancillary data go with
/// the first bytes. sendmsg(2).
/// Throws `message_size` for a datagram that is too long, or for more than 1024 buffers (IOV_MAX).
std::size_t sendmsg(Socket& socket, std::span<const std::span<const std::byte>> from,
                    const Ancillary* ancillary = nullptr, const Address* to = nullptr);

/// Sends without waiting. Returns nothing if there is no buffer space.
std::optional<std::size_t> try_sendmsg(Socket& socket,
                                       std::span<const std::span<const std::byte>> from,
                                       const Ancillary* ancillary = nullptr,
                                       const Address* to = nullptr);

/// Sends all bytes of any number of buffers on a stream, within `deadline` in total. After an
/// error, it is unknown how many bytes the peer received.
void sendmsg_all(Socket& socket, std::span<const std::span<const std::byte>> from,
                 Deadline deadline = Deadline::never());

/// Sends bytes with copies of descriptors over a Unix socket. Returns the number of bytes sent, as
/// `Socket::send` does. The caller keeps its descriptors. unix(7), SCM_RIGHTS.
/// Throws `invalid_argument` for more than 253 descriptors, and on a stream if `bytes` is empty.
std::size_t send_fds(Socket& socket, std::span<const std::byte> bytes,
                     std::span<const int> descriptors);

/// Receives bytes, and the descriptors that came with them. Descriptors beyond `most` are closed.
/// Received descriptors are close-on-exec (in Python they are not).
std::pair<std::size_t, std::vector<Descriptor>> recv_fds(Socket& socket, std::span<std::byte> into,
                                                         std::size_t most);

/// The ancillary data of a message, to be sent or as received. cmsg(3).
///
/// Received descriptors that were not taken are closed by the destructor, or by the next receive
/// into the object.
///
/// Thread safety: distinct objects may be used concurrently; one object, by one thread at a time.
class Ancillary {
 public:
  /// One item of the ancillary data. `data` stays valid until the next receive into the object, or
  /// the next `add`.
  struct Item {
    int level;                        ///< SOL_SOCKET, …
    int type;                         ///< SCM_RIGHTS, …
    std::span<const std::byte> data;  ///< without the header
  };

  /// Reserves space to receive `items` items, whose data have `room` bytes in total. An object that
  /// is only used for sending needs none. Throws `invalid_argument` if either is more than 16 Mi.
  /// Python: `CMSG_LEN`, `CMSG_SPACE`.
  explicit Ancillary(std::size_t room = 0, std::size_t items = 1);

  Ancillary(Ancillary&& other) noexcept = default;
  Ancillary& operator=(Ancillary&& other) noexcept = default;
  ~Ancillary();

  /// Adds an item to send.
  void add(int level, int type, std::span<const std::byte> data);

  /// Adds copies of descriptors to send. The caller keeps its descriptors, and must leave them open
  /// until they are sent. Throws `invalid_argument` for more than 253 in one message (SCM_MAX_FD).
  void add_descriptors(std::span<const int> descriptors);

  /// Returns the items that were received, or added. The descriptor numbers in them are for
  /// information only: `take_descriptors` returns the descriptors themselves.
  std::vector<Item> items() const;

  /// Returns the received descriptors, in order, and transfers their ownership to the caller.
  std::vector<Descriptor> take_descriptors();

 private:
  friend class MessageHeader;
  void make_room();
  // Keeps the received control data and owns its descriptors. Returns false if one was lost.
  bool keep(std::size_t size) noexcept;

  std::size_t room_ = 0;            // for receiving, headers included
  std::vector<std::byte> control_;  // items, in the format of the kernel
  std::vector<Descriptor> descriptors_;
};

}  // namespace net
