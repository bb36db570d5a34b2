/// \file
/// `net.handler:stream`: a connection read and written through buffers.
export module net.handler:stream;

import net.standard;
import net.socket;

export namespace net {

/// Holds bytes between a writer at its end and a reader at its begin. Its memory is borrowed from a
/// store of the thread and goes back when it is empty and asked to `shrink`.
/// Thread safety: none; its connection is in one hand at a time.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer();

  inline bool empty() const noexcept { return begin_ == end_; }
  inline std::size_t size() const noexcept { return end_ - begin_; }
  inline std::span<const std::byte> content() const noexcept { return {memory_ + begin_, size()}; }

  /// Returns room for at least `least` more bytes, moving what is held if need be.
  inline std::span<std::byte> room(std::size_t least) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < least) make_room(least);
    return {memory_ + end_, capacity_ - end_};
  }
  /// Says that `count` bytes of the room were filled.
  inline void filled(std::size_t count) noexcept { end_ += count; }
  void append(std::span<const std::byte> bytes);
  /// Holds a copy of these, in memory of just that size. Precondition: empty, and never used.
  void hold(std::span<const std::byte> bytes);
  /// Takes bytes from the begin. Their memory stays readable until the next call of another member.
  inline std::span<const std::byte> take(std::size_t count) noexcept {
    const auto taken = content().first(count < size() ? count : size());
    begin_ += taken.size();
    return taken;
  }
  /// Gives memory back: all of it if empty, else what exceeds the content.
  inline void shrink() noexcept {
    if (capacity_ != 0) give_back_memory();
  }

 private:
  void make_room(std::size_t least);
  void grow(std::size_t least);
  void give_back_memory() noexcept;
  void move_to_less_memory() noexcept;

  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Bounds the waits of a connection. All on the steady clock. Settable on the server, and for one
/// connection through `RequestContext::set_limits`. Each is 1 ms or more; one of more than a
/// century, such as `milliseconds::max()`, never expires.
struct Limits {
  std::chrono::milliseconds request{20'000};  ///< from a request's first byte until it is whole
  std::chrono::milliseconds idle{60'000};     ///< between requests, or a conversation's silence
  std::chrono::milliseconds send{30'000};     ///< without any progress in sending
};

/// Throws `std::errc::invalid_argument`, naming the limit and its bounds, if one of the limits is
/// zero or negative. Servers and `RequestContext::set_limits` call it.
void check(const Limits& limits);

/// Joins a socket with its buffers: what `rfile` and `wfile` of one connection share.
class BufferedStream {
 public:
  enum class Arrival : std::uint8_t { bytes, nothing, end };

  explicit BufferedStream(Socket socket) noexcept;

  inline Socket& socket() noexcept { return socket_; }
  inline const Socket& socket() const noexcept { return socket_; }
  inline ByteBuffer& input() noexcept { return input_; }
  inline const ByteBuffer& input() const noexcept { return input_; }

  /// Receives once into the input, without waiting, at most `limit` bytes.
  inline Arrival receive_now(std::size_t limit) {
    auto room = input_.room(1);
    if (room.size() > limit) room = room.first(limit);
    if (room.empty()) return Arrival::nothing;
    const auto count = socket_.try_recv(room);
    if (!count) return Arrival::nothing;
    if (*count == 0) {
      ended_ = true;
      return Arrival::end;
    }
    input_.filled(*count);
    received_ = true;
    return Arrival::bytes;
  }
  /// Receives into the input, waiting for a first byte if need be; false at the end of the stream.
  bool receive();
  /// Does the same for the rest of a line or block whose first bytes are here: all of the rest must
  /// come before `whole`, which the first call sets by the rest limit.
  bool receive_rest(Deadline& whole);
  /// Sets that limit; zero, the default, is none.
  inline void set_rest_limit(std::chrono::milliseconds limit) noexcept { rest_limit_ = limit; }
  inline bool ended() const noexcept { return ended_; }
  /// Returns whether any bytes were received since `forget_receives`.
  inline bool received() const noexcept { return received_; }
  inline void forget_receives() noexcept { received_ = false; }

  /// Makes it the stream of one datagram: its packet is all of the input, and what is written is
  /// collected for one datagram back. Precondition: a new stream.
  void hold_datagram(std::span<const std::byte> packet);
  /// Returns what was collected.
  inline std::span<const std::byte> collected() const noexcept { return output_.content(); }

  /// Sends all of the bytes, after what is pending. Up to the write buffer, what the socket does
  /// not take at once becomes pending; beyond it, waits. Each wait is bounded by the socket's
  /// timeout.
  void write(std::span<const std::byte> bytes);
  /// Sends what is pending without waiting; true if nothing is left.
  bool flush_now();
  /// Sends what is pending.
  void flush();
  inline std::size_t pending() const noexcept { return output_.size(); }
  /// Sets how much may become pending; 0, the default, makes each `write` wait until all is sent.
  inline void set_write_buffer(std::size_t size) noexcept { write_buffer_ = size; }
  /// Says which answers wait for the next one, so that those to pipelined requests go in one send:
  /// none, the default; those written while the input holds more; or all. Held are at most 64 KiB
  /// and the write buffer; they go with the next write that is not held, and before any receive.
  enum class Hold : std::uint8_t { none, while_input, all };
  inline void set_hold(Hold hold) noexcept { hold_ = hold; }
  /// Returns whether something is held, and the socket not known to be full.
  inline bool held() const noexcept { return held_; }
  /// Counts what is pending as held, if it is not pending because the socket is full.
  inline void keep_holding() noexcept { held_ = !output_.empty() && !full_; }
  /// Holds nothing more, and sends what is held as far as that needs no wait. What fails here fails
  /// again in the next write.
  inline void stop_holding() noexcept {
    hold_ = Hold::none;
    if (held_) send_held();
  }
  /// Sets how much is collected before any of it is sent; 0, the default, is nothing.
  inline void set_collected(std::size_t size) noexcept { collected_most_ = size; }

 private:
  inline bool holds() const noexcept {
    return hold_ != Hold::none && !full_ && (hold_ == Hold::all || !input_.empty());
  }
  bool keeps(std::span<const std::byte> bytes);
  void send_later(std::span<const std::byte> bytes);
  bool collect(std::span<const std::byte> bytes);
  void send_held() noexcept;

  Socket socket_;
  ByteBuffer input_;
  ByteBuffer output_;
  std::size_t write_buffer_ = 0;
  std::size_t collected_most_ = 0;
  std::chrono::milliseconds rest_limit_{0};
  bool ended_ = false;
  bool received_ = false;
  bool collecting_ = false;
  Hold hold_ = Hold::none;
  bool held_ = false;
  bool full_ = false;  // the socket did not take what is pending
};

/// Reads a connection. Python: `StreamRequestHandler.rfile`.
///
/// Views that are returned stay valid until the next read. A wait is bounded by the limits of the
/// connection and throws `TimeoutError` then. Thread safety: none.
class StreamReader {
 public:
  StreamReader() noexcept = default;
  inline explicit StreamReader(BufferedStream& stream) noexcept : stream_(&stream) {}

  /// Returns what has arrived, waiting for a first byte if nothing has; empty at the end of the
  /// stream. At most `limit` bytes.
  inline std::string_view read_some(std::size_t limit = std::numeric_limits<std::size_t>::max()) {
    if (stream_ == nullptr || stream_->input().empty()) [[unlikely]] {
      return receive_some(limit);
    }
    const auto taken = stream_->input().take(limit);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  /// Returns a line with its '\n'; nothing at the end of the stream. A last line without terminator
  /// is returned as it is. Throws `std::errc::message_size` if a line exceeds `limit` bytes.
  std::optional<std::string_view> read_line(std::size_t limit = 64 * 1024);

  /// Does the same for what ends with a terminator of yours, such as "\r\n\r\n".
  /// Precondition: the terminator is not empty.
  std::optional<std::string_view> read_until(std::string_view terminator,
                                             std::size_t limit = 64 * 1024);

  /// Returns exactly `count` bytes. Throws `EndOfStream` if fewer come, and
  /// `std::errc::message_size` beyond `limit`, so that a length sent by a peer reserves no memory
  /// of its choice.
  std::string_view read_exactly(std::size_t count, std::size_t limit = 16 * 1024 * 1024);

  /// Fills `into`. Throws `EndOfStream` if fewer bytes come.
  void read_exactly(std::span<std::byte> into);

  /// Returns what can be read without waiting.
  std::string_view buffered() const noexcept;

 private:
  std::string_view receive_some(std::size_t limit);

  BufferedStream* stream_ = nullptr;
};

/// Is a span, an array or a vector of std::byte, or the like.
// Asked of its pointer alone, as text is asked as well: whether std::span can be made of a text
// goes through every concept of a range, which was a third of the time of compiling a small server.
template <class T>
concept ByteSequence = requires(const T& bytes, void (&use)(const std::byte*)) {
  use(std::data(bytes));
  std::size(bytes);
};

/// Writes a connection. Python: `StreamRequestHandler.wfile`.
///
/// `write` means all of it; it throws `std::system_error` (`connection_reset`, `broken_pipe`) or
/// `TimeoutError`. Thread safety: none.
class StreamWriter {
 public:
  StreamWriter() noexcept = default;
  inline explicit StreamWriter(BufferedStream& stream) noexcept : stream_(&stream) {}

  void write(std::string_view text);
  template <ByteSequence Bytes>
  void write(const Bytes& bytes) {
    write_bytes(bytes);
  }

  /// Waits until the kernel has all that was written.
  void flush();

  /// Collects what is written, up to so many bytes, until `flush` or the end of `handle`; 0, the
  /// default, sends each `write` at once. Python: `wbufsize`.
  void set_buffer(std::size_t size) noexcept;

 private:
  void write_bytes(std::span<const std::byte> bytes);

  BufferedStream* stream_ = nullptr;
};

}  // namespace net
