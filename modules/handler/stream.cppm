/// \file
/// `net.handler:stream`: buffered reading and writing of a connection.
export module net.handler:stream;

import net.standard;
import net.socket;
import :buffered_stream;
import :byte_buffer;

export namespace net {

/// Reads from a connection. Python: `StreamRequestHandler.rfile`.
///
/// Returned views are valid until the next read. The limits of the connection bound each wait; when
/// one expires, `TimeoutError` is thrown. Thread safety: none.
class StreamReader {
 public:
  StreamReader() noexcept = default;
  /// Reads from a stream, which must outlive this.
  inline explicit StreamReader(BufferedStream& stream) noexcept : stream_(&stream) {}

  /// Returns the bytes that have arrived, at most `limit`, and waits for a first byte if there is
  /// none. Returns an empty view at the end of the stream.
  inline std::string_view read_some(std::size_t limit = std::numeric_limits<std::size_t>::max()) {
    if (stream_ == nullptr || stream_->input().empty()) [[unlikely]] {
      return receive_some(limit);
    }
    const auto taken = stream_->input().take(limit);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  /// Returns a line with its '\n'; nothing at the end of the stream. A last line without a
  /// terminator is returned as it is. Throws `std::errc::message_size` if a line exceeds `limit`
  /// bytes.
  std::optional<std::string_view> read_line(std::size_t limit = 64 * 1024);

  /// Does the same with a terminator of your choice, such as "\r\n\r\n". Precondition: the
  /// terminator is not empty.
  std::optional<std::string_view> read_until(std::string_view terminator,
                                             std::size_t limit = 64 * 1024);

  /// Returns exactly `count` bytes. Throws `EndOfStream` if the stream ends first. Throws
  /// `std::errc::message_size` if `count` exceeds `limit`, so that a length sent by a peer cannot
  /// reserve an arbitrary amount of memory.
  std::string_view read_exactly(std::size_t count, std::size_t limit = 16 * 1024 * 1024);

  /// Fills `into`. Throws `EndOfStream` if the stream ends first.
  void read_exactly(std::span<std::byte> into);

  /// Returns the bytes that can be read without waiting.
  std::string_view buffered() const noexcept;

 private:
  std::string_view receive_some(std::size_t limit);

  BufferedStream* stream_ = nullptr;
};

/// A span, an array or a vector of std::byte, or a similar type.
// Does not check whether a std::span can be constructed. The compiler evaluates this concept for
// each `write` of a text too, and would then check every range concept for the text, which took a
// third of the time to compile a small server.
template <class T>
concept ByteSequence = requires(const T& bytes, void (&use)(const std::byte*)) {
  use(std::data(bytes));
  std::size(bytes);
};

/// A vector, a span or an array object of chars, or text.
template <class T>
concept CharacterSequence = requires(const T& characters, void (&use)(const char*)) {
  use(characters.data());
  characters.size();
};

/// Writes to a connection. Python: `StreamRequestHandler.wfile`.
///
/// `write` sends everything, or throws `std::system_error` (`connection_reset`, `broken_pipe`) or
/// `TimeoutError`. Thread safety: none.
class StreamWriter {
 public:
  StreamWriter() noexcept = default;
  /// Writes to a stream, which must outlive this.
  inline explicit StreamWriter(BufferedStream& stream) noexcept : stream_(&stream) {}

  /// Sends all of the bytes. The server sends the part that the socket does not take at once, up to
  /// `ServerOptions::write_buffer`. Beyond that, and in a conversation, the call waits.
  void write(std::string_view text);
  template <ByteSequence Bytes>
  void write(const Bytes& bytes) {
    write_bytes(bytes);
  }
  template <CharacterSequence Characters>
  void write(const Characters& characters) {
    write(std::string_view(characters.data(), characters.size()));
  }

  /// Sends `count` bytes of a file from `offset` on, after earlier output; without a count, sends
  /// the file to its end. A handler with `Next handle()` does not wait for its client here: the
  /// server sends the part that the socket does not take now, directly from the file and without a
  /// worker, before the next request. Like `write`, the call waits in a conversation; and if it is
  /// the second file in this call of `handle`, it waits for the first one. You keep the descriptor,
  /// and may close it at once, because the connection has a duplicate until the file is sent.
  /// Choose `ServerOptions::max_connections` so that the process can open these duplicates too. The
  /// file must not change its size. Python: `socket.sendfile`. Throws
  /// `std::errc::invalid_argument` if the file has fewer bytes, for a block device without a count,
  /// and for a datagram; `std::errc::invalid_seek` if the file has no positions, such as a pipe;
  /// and `std::errc::too_many_files_open`.
  void send_file(int file, std::uint64_t offset = 0, std::optional<std::uint64_t> count = {});

  /// Sends all output, and waits until the kernel has taken it.
  void flush();

  /// Collects up to `size` bytes of output until `flush` or the end of `handle`. With 0, the
  /// default, each `write` is sent at once. Python: `wbufsize`.
  void set_buffer(std::size_t size) noexcept;

 private:
  void write_bytes(std::span<const std::byte> bytes);

  BufferedStream* stream_ = nullptr;
};

}  // namespace net
