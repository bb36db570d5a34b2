/// \file
/// `net.handler:stream`: a connection read and written through buffers.
export module net.handler:stream;

import net.standard;
import net.socket;
import :buffered_stream;
import :byte_buffer;

export namespace net {

/// Reads a connection. Python: `StreamRequestHandler.rfile`.
///
/// Views that are returned stay valid until the next read. A wait is bounded by the limits of the
/// connection and throws `TimeoutError` then. Thread safety: none.
class StreamReader {
 public:
  StreamReader() noexcept = default;
  /// Reads from a stream, which must outlive this.
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

/// A span, an array or a vector of std::byte, or the like.
// Asked of its pointer alone, as text is asked as well: whether std::span can be made of a text
// goes through every concept of a range, which was a third of the time of compiling a small server.
template <class T>
concept ByteSequence = requires(const T& bytes, void (&use)(const std::byte*)) {
  use(std::data(bytes));
  std::size(bytes);
};

/// The same of chars: a vector, a span or an array object of them, or a text.
template <class T>
concept CharacterSequence = requires(const T& characters, void (&use)(const char*)) {
  use(characters.data());
  characters.size();
};

/// Writes a connection. Python: `StreamRequestHandler.wfile`.
///
/// `write` means all of it; it throws `std::system_error` (`connection_reset`, `broken_pipe`) or
/// `TimeoutError`. Thread safety: none.
class StreamWriter {
 public:
  StreamWriter() noexcept = default;
  /// Writes to a stream, which must outlive this.
  inline explicit StreamWriter(BufferedStream& stream) noexcept : stream_(&stream) {}

  /// Sends all of it. What the socket does not take at once is sent by the server, up to
  /// `ServerOptions::write_buffer`; beyond that, or in a conversation, this waits.
  void write(std::string_view text);
  template <ByteSequence Bytes>
  void write(const Bytes& bytes) {
    write_bytes(bytes);
  }
  template <CharacterSequence Characters>
  void write(const Characters& characters) {
    write(std::string_view(characters.data(), characters.size()));
  }

  /// Sends `count` bytes of a file from `offset` on (without a count: all to its end), after what
  /// was written. A handler of one request a call (`Next handle()`) does not wait for its client
  /// here: what the socket does not take now is sent by the server, straight from the file and
  /// without a worker, before the next request. It waits, as `write` does, in a conversation, and
  /// for the first file if it is the second in this call. The descriptor stays yours, and you may
  /// close it at once: until the end the connection has one of its own, for which
  /// `ServerOptions::max_connections` should leave room. The file must keep its size. Python:
  /// `socket.sendfile`. Throws `std::errc::invalid_argument` if the file has fewer bytes, or for a
  /// datagram, `std::errc::invalid_seek` for what has no positions, as a pipe, and
  /// `std::errc::too_many_files_open`.
  void send_file(int file, std::uint64_t offset = 0, std::optional<std::uint64_t> count = {});

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
