/// \file
/// `net.socket:socket`: one descriptor, owned.
export module net.socket:socket;

import net.standard;
import :address;
import :deadline;
import :descriptor;
import :options;

namespace net {
class Operation;  // interior: calls on a socket that are no members of it
}

export namespace net {

/// Names a socket type. Python: `SOCK_STREAM`, `SOCK_DGRAM`, `SOCK_SEQPACKET`, `SOCK_RAW`.
enum class SocketType : std::uint8_t { stream, datagram, sequenced_packet, raw };

/// Names the directions that `Socket::shutdown` ends. Python: `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.
enum class ShutdownHow : std::uint8_t { read, write, both };

/// Views text as the bytes that `send` takes. The text must outlive the view.
inline std::span<const std::byte> bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Hears of a descriptor before a `Socket` gives it up; see `Socket::set_watch`.
class SocketWatch {
 public:
  SocketWatch() noexcept = default;
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  /// Called by `close`, `detach`, a move and the destructor while `descriptor` is still open, on
  /// their thread; `closing` if the descriptor is closed next. Returns the descriptor that they go
  /// on with: the same, or another in its place.
  virtual int before_release(int descriptor, bool closing) noexcept = 0;

  /// Called after each receive and each send of a socket whose watch asked for that, on their
  /// thread, with how many bytes they passed.
  virtual void received(std::size_t bytes) noexcept;
  virtual void sent(std::size_t bytes) noexcept;

 protected:
  ~SocketWatch() = default;
};

/// Owns a socket descriptor; moves, does not copy, closes at the end of its life.
///
/// Thread safety: distinct sockets, safe. One socket: one thread may receive while another sends,
/// and `shutdown` may come from any thread; it wakes both. Of a datagram socket, any number of
/// threads may use `recvfrom` and `sendto` (and `recvmsg`, `sendmsg`). Nothing else may run beside
/// `close`.
///
/// Time: an operation waits until the earliest of its own `Deadline`, the socket's (`set_deadline`)
/// and its timeout (`settimeout`), and then throws `TimeoutError`; the default is to wait for ever.
/// The descriptor itself stays in blocking mode, except a listener's, so that `detach` hands out an
/// ordinary one.
///
/// Errors: `std::system_error` with the call and the address in its text; `bad_file_descriptor` on
/// a closed socket.
class Socket {
 public:
  using Duration = std::chrono::nanoseconds;

  /// What the last receive told of the kernel's buffer; see `last_receive`.
  enum class Received : std::uint8_t { nothing_asked, all, perhaps_more, end };

  /// Makes a closed socket.
  Socket() noexcept = default;

  /// Opens a socket, close-on-exec. The protocol is a number of the family's (0: the usual one); of
  /// packet sockets, that of the frames, in the host's order (0x88B5). Throws
  /// `operation_not_permitted` for raw and packet sockets of a process without CAP_NET_RAW.
  /// socket(2).
  explicit Socket(Family family, SocketType type = SocketType::stream, int protocol = 0);

  /// Takes ownership of a descriptor. Throws `bad_file_descriptor` or `not_a_socket`, and leaves
  /// the descriptor alone then. A listener becomes non-blocking. Python: `socket.socket(fileno=…)`.
  static Socket adopt(int descriptor);
  /// Does the same, and closes the descriptor if it throws.
  static Socket adopt(Descriptor descriptor);
  /// Takes ownership of a descriptor that is known to be a connection, without asking the system;
  /// what needs its type asks each time if it is not told here.
  static Socket adopt_unchecked(int descriptor, std::optional<SocketType> type = {}) noexcept;

  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  /// bind(2). Throws `address_in_use`, `permission_denied`, `address_not_available`.
  void bind(const Address& address);

  /// listen(2); a backlog of 0 or less is the system's maximum. The descriptor becomes
  /// non-blocking, so that a connection that went away between poll and accept blocks nobody.
  void listen(int backlog = 0);

  /// Waits for a connection and returns it with the peer's address, as Python's pair. accept4(2).
  std::pair<Socket, Address> accept();

  /// connect(2), within `deadline`. After a failure, close the socket: its state is unspecified.
  void connect(const Address& address, Deadline deadline = Deadline::never());

  /// Receives what is there, at least a byte, waiting for it if need be; returns how many bytes.
  /// 0 is the end of the stream (or an empty span). recv(2).
  std::size_t recv(std::span<std::byte> into);

  /// Receives without waiting; nothing if nothing is there.
  std::optional<std::size_t> try_recv(std::span<std::byte> into);

  /// Waits until a receive would not wait; false if that is not so at `deadline` (which alone
  /// bounds this wait), or if the input ended meanwhile (`end_input_after`). poll(2).
  bool wait_to_receive(Deadline deadline);

  /// Sends some of the bytes, at least one, waiting for room if need be; returns how many. send(2).
  std::size_t send(std::span<const std::byte> from);

  /// Sends without waiting; nothing if there is no room.
  std::optional<std::size_t> try_send(std::span<const std::byte> from);

  /// Sends all of the bytes, within `deadline` in total. After an error it is unknown how many the
  /// peer got.
  void sendall(std::span<const std::byte> from, Deadline deadline = Deadline::never());

  /// Receives a datagram and its sender, waiting for it if need be; what does not fit is lost (see
  /// `recvmsg`). The sender is unspecified where there is none to tell: on a stream, of a Unix
  /// socket that is not bound, and at the end of the input. recvfrom(2); Python: `recvfrom_into`.
  std::pair<std::size_t, Address> recvfrom(std::span<std::byte> into);

  /// Sends a datagram to an address, waiting for room if need be; returns how many bytes.
  /// Throws `message_size` if it is too long for one. sendto(2).
  std::size_t sendto(std::span<const std::byte> from, const Address& to);

  /// shutdown(2). A peer that is gone already (ENOTCONN) is no error.
  void shutdown(ShutdownHow how);

  /// Closes; closing twice is harmless. close(2).
  void close() noexcept;

  /// Gives up ownership: returns the descriptor, and the socket is closed from then on. The
  /// descriptor has no timeout of its own (`wait_in_receive`).
  int detach() noexcept;

  /// Calls `watch` before the descriptor leaves this object, so that a poller that registered it
  /// (epoll) can take it out in time. The watch belongs to this object and does not move
  /// with the descriptor; it must outlive the socket or be replaced by null, the default.
  /// It is told of bytes if `counts`.
  void set_watch(SocketWatch* watch, bool counts = false) noexcept {
    watch_ = watch;
    watch_counts_ = counts;
  }

  /// Returns the descriptor, -1 if closed.
  inline int fileno() const noexcept { return descriptor_; }

  /// Opens a second, close-on-exec descriptor of the same socket, with the same timeouts. dup(2).
  Socket dup() const;

  /// Lets programs that this one executes inherit the descriptor, or not (the default).
  /// fcntl(2), FD_CLOEXEC. Python: `set_inheritable`, `get_inheritable`.
  void set_inheritable(bool inheritable);
  bool inheritable() const;

  /// Ask the system what this is, whatever opened it. The family is unspecified if `Family` has no
  /// name for it; `type` throws `operation_not_supported` then. socket(7): SO_DOMAIN, SO_TYPE,
  /// SO_ACCEPTCONN.
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

  /// setsockopt(2) and getsockopt(2) with numbers from the system's headers; the latter returns how
  /// many bytes were stored.
  void setsockopt(int level, int option, std::span<const std::byte> value);
  std::size_t getsockopt(int level, int option, std::span<std::byte> value) const;

  /// Has `close` wait until the peer has everything, but no longer than that; zero resets the
  /// connection instead. Nothing, the default, lets the system go on by itself. Throws
  /// `invalid_argument` for a negative time. socket(7), SO_LINGER.
  void set_linger(std::optional<std::chrono::seconds> time);
  std::optional<std::chrono::seconds> get_linger() const;

  /// Returns who made the other end of a Unix socket. unix(7), SO_PEERCRED.
  /// Throws `not_connected`, and `operation_not_supported` for other families.
  PeerCredentials peer_credentials() const;

  /// Bounds each operation: nothing waits for ever, zero does not wait at all (the operation throws
  /// `operation_would_block`). Throws `invalid_argument` for a negative time.
  void settimeout(std::optional<Duration> timeout);
  void settimeout(std::optional<Duration> receiving, std::optional<Duration> sending);

  /// Has the timeout of a send begin anew whenever the peer takes something, which the kernel's
  /// send queue tells: a slow peer is waited for, and one that takes nothing is not. Deadlines
  /// bound the operation all the same. ioctl(2), SIOCOUTQ: of TCP and Unix sockets.
  inline void set_send_by_progress(bool by_progress) noexcept { send_by_progress_ = by_progress; }

  /// Returns the bound of a receive; nothing if it waits for ever.
  std::optional<Duration> gettimeout() const noexcept;

  /// Say the same in one bit: true waits for ever, false does not wait at all. The descriptor
  /// itself stays as it is.
  inline void setblocking(bool blocking) {
    blocking ? settimeout(std::nullopt) : settimeout(Duration(0));
  }
  inline bool getblocking() const noexcept { return gettimeout() != Duration(0); }

  /// Bounds all operations together by a point in time.
  inline void set_deadline(Deadline deadline) noexcept { deadline_ = deadline; }
  inline Deadline deadline() const noexcept { return deadline_; }

  /// Bounds the receives together by a point in time, beside `set_deadline`.
  inline void set_receive_deadline(Deadline deadline) noexcept { receive_deadline_ = deadline; }

  /// Has `recv` wait in recv(2) itself, under SO_RCVTIMEO, instead of polling first: one system
  /// call for each. Where that is not possible, because of a deadline or because the descriptor was
  /// made non-blocking, it polls. Off by default, since every other user of the descriptor meets
  /// that timeout too; `detach`, `dup` and setting SO_RCVTIMEO turn it off, and the first two take
  /// the timeout off the descriptor.
  void wait_in_receive(bool on) noexcept;

  /// Ends the input once it is quiet: a receive that finds nothing for so long returns 0, the end
  /// of the stream, though the peer has not ended it. Nothing, the default, goes on. Throws
  /// `invalid_argument` for a negative time.
  void end_input_after(std::optional<Duration> quiet);

  /// Notes in `since` when a receive began to wait (on the steady clock to a few milliseconds, in
  /// nanoseconds), and 0 when it is over, so that a server finds the client that has been silent
  /// for longest. Null notes nothing.
  inline void note_silence_in(std::atomic<std::int64_t>* since) noexcept { silent_since_ = since; }

  /// Has `try_recv` notice messages with descriptors, at which the kernel ends a receive however
  /// much there is behind them: such a receive counts as `perhaps_more`. For streams of Unix
  /// sockets.
  inline void set_may_get_descriptors(bool may) noexcept { may_get_descriptors_ = may; }

  /// Returns what the last receive left behind, for those who wait by edges: `all` was taken, or
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
  bool watch_counts_ = false;
  std::optional<SocketType> type_;
  Received last_receive_ = Received::nothing_asked;
  // Whether `recv` waits in recv(2); `dup` turns it off.
  mutable bool waits_in_receive_ = false;
  Duration receive_timeout_ = no_timeout;
  Duration send_timeout_ = no_timeout;
  mutable Duration kernel_timeout_ = no_timeout;  // SO_RCVTIMEO, as far as it is ours
  Duration end_quiet_ = no_timeout;               // after which the input ends
  Deadline deadline_;
  Deadline receive_deadline_;
  std::atomic<std::int64_t>* silent_since_ = nullptr;
  SocketWatch* watch_ = nullptr;
};

/// Returns two connected sockets. socketpair(2); the family is Unix.
std::pair<Socket, Socket> socket_pair(SocketType type = SocketType::stream);

}  // namespace net
