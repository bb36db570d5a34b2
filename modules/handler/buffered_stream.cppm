/// \file
/// `net.handler:buffered_stream`: the socket of a connection, with its buffers.
export module net.handler:buffered_stream;

import net.standard;
import net.socket;
import :byte_buffer;

export namespace net {

/// A socket with its buffers, which `rfile` and `wfile` of a connection share.
class BufferedStream {
 public:
  /// The result of `receive_now`: bytes, nothing yet, or the end of the stream.
  enum class Arrival : std::uint8_t { bytes, nothing, end };

  /// Takes ownership of a connection.
  explicit BufferedStream(Socket socket) noexcept;

  /// Returns the connection.
  inline Socket& socket() noexcept { return socket_; }
  inline const Socket& socket() const noexcept { return socket_; }
  /// Returns the bytes that were received but not read yet.
  inline ByteBuffer& input() noexcept { return input_; }
  inline const ByteBuffer& input() const noexcept { return input_; }

  /// Receives once into the input, at most `limit` bytes, without waiting.
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
    return Arrival::bytes;
  }
  /// Receives into the input, and waits for a first byte if necessary. Returns false at the end of
  /// the stream.
  bool receive();
  /// Does the same for the rest of a line or block whose first bytes have been received. All of the
  /// rest must arrive before `whole`. The first call sets `whole` from the rest limit.
  bool receive_rest(Deadline& whole);
  /// Sets the rest limit; zero, the default, means no limit.
  inline void set_rest_limit(std::chrono::milliseconds limit) noexcept { rest_limit_ = limit; }
  /// Returns whether the end of the stream was received.
  inline bool ended() const noexcept { return ended_; }
  /// Returns whether `receive` received any bytes since `forget_receives`.
  inline bool received() const noexcept { return received_; }
  /// Resets the result of `received`.
  inline void forget_receives() noexcept { received_ = false; }

  /// Makes this the stream of one datagram: the packet is the whole input, and everything written
  /// is collected for one datagram in reply. Precondition: a new stream.
  void hold_datagram(std::span<const std::byte> packet);
  /// Returns the bytes collected for the reply.
  inline std::span<const std::byte> collected() const noexcept { return output_.content(); }

  /// Sends all of the bytes, after the pending output. Bytes that the socket does not take at once
  /// become pending, up to the size of the write buffer; beyond that, the call waits. The timeout
  /// of the socket bounds each wait.
  void write(std::span<const std::byte> bytes);
  /// Sends `count` bytes of a file from `offset` on, after the pending output. The part that the
  /// socket does not take at once becomes pending, without being copied. Without a write buffer,
  /// the call waits.
  void send_file(int file, std::uint64_t offset, std::uint64_t count);
  /// Sends pending output without waiting, but only a few MiB of a file. Returns true if nothing is
  /// left.
  bool flush_now();
  /// Sends all pending output, and waits if necessary.
  void flush();
  /// Return whether output is pending, and how many bytes of it: output that the kernel has not
  /// taken yet.
  inline bool is_pending() const noexcept { return pending_; }
  std::uint64_t pending() const noexcept;
  /// Releases memory that is not needed while the connection waits. Returns how many bytes of
  /// memory remain.
  std::size_t shrink() noexcept;
  /// Discards all input and pending output, and releases their memory.
  void discard() noexcept;
  /// Returns whether the socket would take output now, as far as is known.
  inline bool takes_more() const noexcept { return !full_; }
  /// Sets how many bytes may become pending. With 0, the default, each `write` waits until all is
  /// sent.
  inline void set_write_buffer(std::size_t size) noexcept { write_buffer_ = size; }
  /// Sets how long an answer may take, from its first write that waits. The limit applies until the
  /// deadline of the socket is set again. Zero, the default, means no limit.
  inline void set_answer_limit(std::chrono::milliseconds limit) noexcept { answer_limit_ = limit; }
  /// Which answers are held until the next one, so that the answers to pipelined requests go out in
  /// one send: none, the default; those written while the input still contains bytes; or all. At
  /// most 64 KiB are held, and not more than the write buffer, unless `set_collected` allows more.
  /// Held answers are sent with the next write that is not held, and before any receive.
  enum class Hold : std::uint8_t { none, while_input, all };
  /// Sets which answers are held; sends nothing.
  inline void set_hold(Hold hold) noexcept { hold_ = hold; }
  /// Returns whether output is held, and the socket is not known to be full.
  inline bool held() const noexcept { return held_; }
  /// Marks the pending output as held, unless the socket is full or a part of a file is pending.
  inline void keep_holding() noexcept { held_ = pending_ && !full_ && file_ == nullptr; }
  /// Stops holding answers, and sends what is held; waits for buffer space if necessary, so that
  /// what is sent next by other means cannot overtake it. Throws what `flush` throws.
  void stop_holding();
  /// Sets how many bytes are collected before any are sent. 0, the default, collects nothing.
  inline void set_collected(std::size_t size) noexcept { collected_most_ = size; }

 private:
  inline bool holds() const noexcept {
    return hold_ != Hold::none && !full_ && (hold_ == Hold::all || !input_.empty());
  }
  // The pending part of a file. It is sent after the first `behind` bytes of the output, and before
  // the rest.
  struct FilePart {
    Descriptor file;
    std::uint64_t offset;
    std::uint64_t left;
    std::size_t behind;
  };
  bool keeps(std::span<const std::byte> bytes);
  void keep(std::span<const std::byte> bytes);
  void note_sent() noexcept;
  enum class MayWait : std::uint8_t { no, yes };
  bool send_output(std::size_t count, MayWait may_wait);
  bool send_file_part();
  void send_all(int file, std::uint64_t offset, std::uint64_t count);
  template <class Call>
  auto waiting(Call call);
  void send_later(std::span<const std::byte> bytes);
  bool collect(std::span<const std::byte> bytes);

  Socket socket_;
  ByteBuffer input_;
  ByteBuffer output_;
  std::size_t write_buffer_ = 0;               // the most bytes that may become pending
  std::size_t collected_most_ = 0;             // the most bytes that are collected before a send
  std::unique_ptr<FilePart> file_;             // pending; null if there is none
  std::chrono::milliseconds rest_limit_{0};    // for the rest of a line or block; 0: none
  std::chrono::milliseconds answer_limit_{0};  // for an answer whose write waits; 0: none
  bool ended_ = false;
  bool received_ = false;
  bool pending_ = false;     // there is output, or a part of a file
  bool collecting_ = false;  // the stream is that of a datagram
  Hold hold_ = Hold::none;
  bool held_ = false;  // the pending output waits for the next answer
  bool full_ = false;  // the socket did not take the pending output
};

}  // namespace net
