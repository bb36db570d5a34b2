/// \file
/// `net.socket:descriptor`: one descriptor of any kind, owned.
export module net.socket:descriptor;

import net.standard;

export namespace net {

/// Owns a descriptor that need not be a socket (a file, a pipe, one that was received); moves, does
/// not copy, closes at the end of its life. Python: the number alone.
///
/// Thread safety: distinct objects, safe; one object, by one thread at a time.
class Descriptor {
 public:
  /// Owns nothing.
  Descriptor() noexcept = default;

  /// Takes ownership of a descriptor; a negative one is none.
  inline explicit Descriptor(int descriptor) noexcept : descriptor_(descriptor) {}

  inline Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  /// Returns the descriptor, -1 if there is none.
  inline int get() const noexcept { return descriptor_; }

  /// Returns whether there is one.
  inline explicit operator bool() const noexcept { return descriptor_ >= 0; }

  /// Gives up ownership, and returns the descriptor.
  inline int release() noexcept { return std::exchange(descriptor_, -1); }

  /// Closes; closing twice is harmless. close(2).
  void close() noexcept;

 private:
  int descriptor_ = -1;
};

/// Moves a descriptor that the system has just returned out of the way of stdin, stdout and stderr:
/// in a program that closed one of these, it may have got its number, and would be sent what is
/// meant for that. Returns the descriptor if it is 3 or more (or negative), else a close-on-exec
/// copy that is, and closes the original; -1 with errno if the system has no more. Everything that
/// the library opens goes through this.
int move_above_standard_streams(int descriptor) noexcept;
/// Does the same, without a call where there is nothing to do.
inline int above_standard_streams(int descriptor) noexcept {
  return descriptor > 2 || descriptor < 0 ? descriptor : move_above_standard_streams(descriptor);
}

/// Writes to a descriptor of any kind as write(2) does, and returns what that returns, with errno;
/// but raises no signal: neither SIGPIPE if the reader of a pipe or the peer of a socket is gone,
/// nor SIGXFSZ or SIGTTOU. It changes no signal disposition, so it can be used in any host program
/// and on any thread. For log lines and reports.
std::ptrdiff_t write_without_signals(int descriptor, std::span<const std::byte> bytes) noexcept;

}  // namespace net
