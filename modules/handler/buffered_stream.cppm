/// \file
/// `net.handler:buffered_stream`: a connection's socket with its buffers.
export module net.handler:buffered_stream;

import net.standard;
import net.socket;
import :byte_buffer;

export namespace net {

/// Joins a socket with its buffers: what `rfile` and `wfile` of one connection share.
class BufferedStream {
 public:
  /// What `receive_now` found: bytes, nothing yet, or the end of the stream.
  enum class Arrival : std::uint8_t { bytes, nothing, end };

  /// Takes ownership of a connection.
  explicit BufferedStream(Socket socket) noexcept;

  /// Returns the connection.
  inline Socket& socket() noexcept { return socket_; }
  inline const Socket& socket() const noexcept { return socket_; }
  /// Returns the bytes that were received and not yet read.
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
    return Arrival::bytes;
  }
  /// Receives into the input, waiting for a first byte if need be; false at the end of the stream.
  bool receive();
  /// Does the same for the rest of a line or block whose first bytes are here: all of the rest must
  /// come before `whole`, which the first call sets by the rest limit.
  bool receive_rest(Deadline& whole);
  /// Sets that limit; zero, the default, is none.
  inline void set_rest_limit(std::chrono::milliseconds limit) noexcept { rest_limit_ = limit; }
  /// Returns whether the end of the stream was received.
  inline bool ended() const noexcept { return ended_; }
  /// Returns whether `receive` got anything since `forget_receives`.
  inline bool received() const noexcept { return received_; }
  /// Resets what `received` returns.
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
  /// Sends `count` bytes of a file from `offset` on, after what is pending. What the socket does
  /// not take at once becomes pending, without a copy of it; without a write buffer, waits.
  void send_file(int file, std::uint64_t offset, std::uint64_t count);
  /// Sends what is pending without waiting, of a file a few MiB at most; true if nothing is left.
  bool flush_now();
  /// Sends what is pending.
  void flush();
  /// Returns whether anything is pending, and how much: what no call has given to the kernel yet.
  inline bool is_pending() const noexcept { return pending_; }
  std::uint64_t pending() const noexcept;
  /// Gives memory back that is not needed while the connection waits, and returns how much is left.
  std::size_t shrink() noexcept;
  /// Gives up what is left in both directions, and its memory.
  void discard() noexcept;
  /// Returns whether the socket would take some of it now, as far as is known.
  inline bool takes_more() const noexcept { return !full_; }
  /// Sets how much may become pending; 0, the default, makes each `write` wait until all is sent.
  inline void set_write_buffer(std::size_t size) noexcept { write_buffer_ = size; }
  /// Sets how long an answer may take from the first write that waits until the socket's deadline
  /// is set anew; zero, the default, is no limit.
  inline void set_answer_limit(std::chrono::milliseconds limit) noexcept { answer_limit_ = limit; }
  /// Sets which answers wait for the next one, so that those to pipelined requests go in one send:
  /// none, the default; those written while the input holds more; or all. Held are at most 64 KiB
  /// and the write buffer; they go with the next write that is not held, and before any receive.
  enum class Hold : std::uint8_t { none, while_input, all };
  /// Sets which answers wait; sends nothing.
  inline void set_hold(Hold hold) noexcept { hold_ = hold; }
  /// Returns whether something is held, and the socket not known to be full.
  inline bool held() const noexcept { return held_; }
  /// Counts what is pending as held, if it is not pending because the socket is full.
  inline void keep_holding() noexcept { held_ = pending_ && !full_ && file_ == nullptr; }
  /// Holds nothing more, and sends what is held as far as that needs no wait. What fails here fails
  /// again in the next write.
  void stop_holding() noexcept;
  /// Sets how much is collected before any of it is sent; 0, the default, is nothing.
  inline void set_collected(std::size_t size) noexcept { collected_most_ = size; }

 private:
  inline bool holds() const noexcept {
    return hold_ != Hold::none && !full_ && (hold_ == Hold::all || !input_.empty());
  }
  // The part of a file that is pending: behind that many bytes of the output, before the others.
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
  std::size_t write_buffer_ = 0;
  std::size_t collected_most_ = 0;
  std::unique_ptr<FilePart> file_;
  std::chrono::milliseconds rest_limit_{0};
  std::chrono::milliseconds answer_limit_{0};
  bool ended_ = false;
  bool received_ = false;
  bool pending_ = false;  // there is output, or a file
  bool collecting_ = false;
  Hold hold_ = Hold::none;
  bool held_ = false;
  bool full_ = false;  // the socket did not take what is pending
};

}  // namespace net
