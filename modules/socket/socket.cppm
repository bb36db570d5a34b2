/// \file
/// `net.socket:socket`: a socket descriptor, with an owner.
export module net.socket:socket;

import net.standard;
import :address;
import :deadline;
import :descriptor;
import :options;
import :socket_watch;

namespace net {
class Operation;  // internal: socket calls that are not members of Socket
}

export namespace net {

/// A socket type. Python: `SOCK_STREAM`, `SOCK_DGRAM`, `SOCK_SEQPACKET`, `SOCK_RAW`.
enum class SocketType : std::uint8_t { stream, datagram, sequenced_packet, raw };

/// The directions that `Socket::shutdown` closes. Python: `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.
enum class ShutdownHow : std::uint8_t { read, write, both };

/// Views text as the bytes that `send` takes. The text must outlive the view.
inline std::span<const std::byte> bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A move-only owner of a socket descriptor. The destructor closes it.
///
/// Thread safety: distinct sockets may be used concurrently. On one socket, one thread may receive
/// while another sends. Any thread may call `shutdown`, which wakes up both. On a datagram socket,
/// any number of threads may use `recvfrom` and `sendto` (and `recvmsg`, `sendmsg`). No other call
/// may run concurrently with `close`.
///
/// Time: an operation waits until the earliest of its own `Deadline`, the deadline of the socket
/// (`set_deadline`) and its timeout (`settimeout`), and then throws `TimeoutError`. By default it
/// waits forever. The descriptor itself stays in blocking mode, except for a listener, so `detach`
/// returns an ordinary descriptor.
///
/// Errors: `std::system_error`, with the call and the address in its text; `bad_file_descriptor` on
/// a closed socket.
class Socket {
 public:
  using Duration = std::chrono::nanoseconds;

  /// What the last receive revealed about the kernel's buffer; see `last_receive`.
  enum class Received : std::uint8_t { nothing_asked, all, perhaps_more, end };

  /// Makes a closed socket.
  Socket() noexcept = default;

  /// Opens a close-on-exec socket. `protocol` is a protocol number of the family (0: the default
  /// one). For a packet socket it is the protocol of the frames, in host byte order (0x88B5).
  /// Throws `operation_not_permitted` for raw and packet sockets if the process has no CAP_NET_RAW.
  /// socket(2).
  explicit Socket(Family family, SocketType type = SocketType::stream, int protocol = 0);

  /// Takes ownership of a descriptor. Throws `bad_file_descriptor` or `not_a_socket`, and then
  /// leaves the descriptor alone. A listener becomes non-blocking. Python:
  /// `socket.socket(fileno=…)`.
  static Socket adopt(int descriptor);
  /// Does the same, but closes the descriptor if the call throws.
  static Socket adopt(Descriptor descriptor);
  /// Takes ownership of a descriptor that is known to be a connection, without a system call. If
  /// `type` is not given, each operation that needs the type asks the kernel for it.
  static Socket adopt_unchecked(int descriptor, std::optional<SocketType> type = {}) noexcept;

  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  /// bind(2). Throws `address_in_use`, `permission_denied`, `address_not_available`.
  void bind(const Address& address);

  /// listen(2); a backlog of 0 or less means the system's maximum. The descriptor becomes
  /// non-blocking, so that `accept` does not block on a connection that was closed after poll
  /// reported it.
  void listen(int backlog = 0);

  /// Waits for a connection. Returns it with the peer's address, as in Python. accept4(2).
  std::pair<Socket, Address> accept();

  /// connect(2), within `deadline`. After a failure, close the socket: its state is unspecified.
  void connect(const Address& address, Deadline deadline = Deadline::never());

  /// Receives the bytes that are available, at least one, and waits for them if necessary. Returns
  /// the number of bytes; 0 at the end of the stream (or if the span is empty). recv(2).
  std::size_t recv(std::span<std::byte> into);

  /// Receives without waiting. Returns nothing if no bytes are available.
  std::optional<std::size_t> try_recv(std::span<std::byte> into);

  /// Waits until a receive would not block. Returns false if `deadline` expires first, or if the
  /// input ends meanwhile (`end_input_after`). No other limit applies to this wait. poll(2).
  bool wait_to_receive(Deadline deadline);

  /// Sends some of the bytes, at least one, and waits for buffer space if necessary. Returns the
  /// number of bytes sent. send(2).
  std::size_t send(std::span<const std::byte> from);

  /// Sends without waiting. Returns nothing if there is no buffer space.
  std::optional<std::size_t> try_send(std::span<const std::byte> from);

  /// Sends all of the bytes, within `deadline` in total. After an error, it is unknown how many
  /// bytes the peer received.
  void sendall(std::span<const std::byte> from, Deadline deadline = Deadline::never());

  /// Receives a datagram and the address of its sender, and waits for one if necessary. Bytes that
  /// do not fit are lost (see `recvmsg`). The address is unspecified if none is known: on a TCP
  /// connection, from an unbound Unix socket, and at the end of the input. recvfrom(2); Python:
  /// `recvfrom_into`.
  std::pair<std::size_t, Address> recvfrom(std::span<std::byte> into);

  /// Sends a datagram to an address, and waits for buffer space if necessary. Returns the number of
  /// bytes sent. Throws `message_size` if the datagram is too long. sendto(2).
  std::size_t sendto(std::span<const std::byte> from, const Address& to);

  /// shutdown(2). Does nothing if the socket is not connected (ENOTCONN), as after a reset by the
  /// peer.
  void shutdown(ShutdownHow how);

  /// Closes the socket; closing it twice is harmless. close(2).
  void close() noexcept;

  /// Returns the descriptor and gives up ownership; this object becomes a closed socket. A timeout
  /// that `wait_in_receive` set on the descriptor is removed.
  int detach() noexcept;

  /// Calls `watch` before the descriptor leaves this object, so that a poller (epoll) can
  /// unregister it in time. The watch stays with this object when the descriptor is moved to
  /// another. The watch must outlive this object, or be replaced by null, the default. If `counts`
  /// is true, the watch is also called after each receive and send.
  void set_watch(SocketWatch* watch, bool counts = false) noexcept {
    watch_ = watch;
    watch_counts_ = counts;
  }

  /// Returns the descriptor; -1 if the socket is closed.
  inline int fileno() const noexcept { return descriptor_; }

  /// Opens a second, close-on-exec descriptor of the same socket, with the same timeouts. dup(2).
  Socket dup() const;

  /// Set and return whether programs that this process executes inherit the descriptor. The
  /// default is false. fcntl(2), FD_CLOEXEC. Python: `set_inheritable`, `get_inheritable`.
  void set_inheritable(bool inheritable);
  bool inheritable() const;

  /// Ask the system for the properties of the socket, however it was opened. The family is
  /// `unspecified` if `Family` does not have it; `type` throws `operation_not_supported` if
  /// `SocketType` does not have the type. socket(7): SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN.
  Family family() const;
  SocketType type() const;
  bool listening() const;

  /// getsockname(2).
  Address getsockname() const;

  /// getpeername(2). Throws `not_connected`.
  Address getpeername() const;

  /// setsockopt(2) and getsockopt(2) for the options named in `SocketOption`.
  void setsockopt(SocketOption option, int value);
  int getsockopt(SocketOption option) const;

  /// setsockopt(2) and getsockopt(2) with numbers from the headers of the system. `getsockopt`
  /// returns the number of bytes stored.
  void setsockopt(int level, int option, std::span<const std::byte> value);
  std::size_t getsockopt(int level, int option, std::span<std::byte> value) const;

  /// Makes `close` wait until the peer has received everything, but not longer than `time`; with
  /// zero, `close` resets the connection instead. With nothing, the default, the system sends the
  /// rest in the background. Throws `invalid_argument` for a negative time. socket(7), SO_LINGER.
  void set_linger(std::optional<std::chrono::seconds> time);
  std::optional<std::chrono::seconds> get_linger() const;

  /// Returns the process at the other end of a Unix socket. unix(7), SO_PEERCRED.
  /// Throws `not_connected`, and `operation_not_supported` for other families.
  PeerCredentials peer_credentials() const;

  /// Bounds the wait of each operation. Nothing means no limit; with zero, an operation does not
  /// wait (it throws `operation_would_block`). Throws `invalid_argument` for a negative time.
  void settimeout(std::optional<Duration> timeout);
  void settimeout(std::optional<Duration> receiving, std::optional<Duration> sending);

  /// Restarts the send timeout whenever the peer takes some bytes, as seen in the send queue of the
  /// kernel. So a slow peer is waited for, and a peer that takes nothing times out. Deadlines still
  /// bound the operation. ioctl(2), SIOCOUTQ: for TCP and Unix sockets.
  inline void set_send_by_progress(bool by_progress) noexcept { send_by_progress_ = by_progress; }

  /// Returns the timeout of a receive; nothing if there is none.
  std::optional<Duration> gettimeout() const noexcept;

  /// Sets the timeout: with true, operations wait forever; with false, they do not wait at all.
  /// `getblocking` returns whether receives wait. The mode of the descriptor does not change.
  inline void setblocking(bool blocking) {
    blocking ? settimeout(std::nullopt) : settimeout(Duration(0));
  }
  inline bool getblocking() const noexcept { return gettimeout() != Duration(0); }

  /// Sets the deadline of all operations in total.
  inline void set_deadline(Deadline deadline) noexcept { deadline_ = deadline; }
  inline Deadline deadline() const noexcept { return deadline_; }

  /// Sets the deadline of all receives in total, in addition to `set_deadline`.
  inline void set_receive_deadline(Deadline deadline) noexcept { receive_deadline_ = deadline; }

  /// Makes `recv` wait in recv(2), with the timeout set as SO_RCVTIMEO, instead of in poll(2). This
  /// saves system calls. `recv` still polls where recv(2) cannot wait: with a deadline or
  /// `end_input_after`, or if the descriptor was made non-blocking. Off by default, since the
  /// timeout affects every other user of the descriptor. `detach`, `dup` and setting SO_RCVTIMEO
  /// turn it off; the first two also remove the timeout from the descriptor.
  void wait_in_receive(bool on) noexcept;

  /// Ends the input when it has been quiet for the given time: a receive that finds no bytes for
  /// that long returns 0, as at the end of the stream. By default the input does not end by itself.
  /// Throws `invalid_argument` for a negative time.
  void end_input_after(std::optional<Duration> quiet);

  /// Makes each receive store in `since` the time at which it began to wait, and 0 when the wait is
  /// over, so that a server can find the client that has been silent for longest. The time is on
  /// the steady clock, in nanoseconds. It may lag by a few ticks of the kernel, each of 1 to 10 ms.
  /// Null turns this off.
  inline void note_silence_in(std::atomic<std::int64_t>* since) noexcept { silent_since_ = since; }

  /// Makes `try_recv` detect messages with descriptors, for streams of Unix sockets. The kernel
  /// ends a receive at such a message even if more bytes follow, so the receive counts as
  /// `perhaps_more`.
  inline void set_may_get_descriptors(bool may) noexcept { may_get_descriptors_ = may; }

  /// Returns the outcome of the last receive, for edge-triggered polling: it took `all` bytes,
  /// there may be more, or the stream ended. `forget_receives` resets it to `nothing_asked`.
  inline Received last_receive() const noexcept { return last_receive_; }
  inline void forget_receives() noexcept { last_receive_ = Received::nothing_asked; }

 private:
  friend class Operation;
  int release(bool closing) noexcept;
  std::optional<std::size_t> try_recv_message(std::span<std::byte> into);
  enum class Wait : std::uint8_t { ready, ended, late };
  Wait poll(short events, Deadline deadline) const;
  Wait wait(short events, Deadline deadline, std::string_view call) const;
  bool may_wait_in_receive() const noexcept;
  std::optional<std::size_t> receive_or_wait(std::span<std::byte> into, Deadline& limit);
  bool set_kernel_timeout(Duration timeout) const noexcept;
  inline void note_received(std::size_t size, std::size_t room) noexcept {
    if (watch_counts_) [[unlikely]] {
      watch_->received(size);
    }
    last_receive_ = size == 0     ? Received::end
                    : size < room ? Received::all
                                  : Received::perhaps_more;
  }
  inline void note_sent(std::size_t size) const noexcept {
    if (watch_counts_) [[unlikely]] {
      watch_->sent(size);
    }
  }
  bool receives_again();
  bool sends_again() const;
  Wait wait_for_progress(Deadline deadline) const;
  void note_silence(std::int64_t since) const noexcept;
  Deadline receive_limit() const;
  Deadline send_limit() const;
  [[noreturn]] void fail(int error, std::string_view call) const;
  void connect_to_path(const Address& address, Deadline deadline, std::string_view call);

  static constexpr Duration no_timeout{-1};

  int descriptor_ = -1;
  bool send_by_progress_ = false;
  bool may_get_descriptors_ = false;
  bool watch_counts_ = false;       // whether `watch_` is called after receives and sends
  std::optional<SocketType> type_;  // nothing if it is unknown
  Received last_receive_ = Received::nothing_asked;
  // Whether `recv` waits in recv(2); `dup` turns it off.
  mutable bool waits_in_receive_ = false;
  Duration receive_timeout_ = no_timeout;
  Duration send_timeout_ = no_timeout;
  mutable Duration kernel_timeout_ = no_timeout;  // SO_RCVTIMEO, if we set it
  Duration end_quiet_ = no_timeout;               // of silence, after which the input ends
  Deadline deadline_;
  Deadline receive_deadline_;
  std::atomic<std::int64_t>* silent_since_ = nullptr;
  SocketWatch* watch_ = nullptr;
};

/// Returns two connected Unix sockets. socketpair(2).
std::pair<Socket, Socket> socket_pair(SocketType type = SocketType::stream);

}  // namespace net
