/// \file
/// `net.socket:descriptor`: a descriptor of any kind, with an owner.
export module net.socket:descriptor;

import net.standard;

export namespace net {

/// A move-only owner of any descriptor, such as a file, a pipe, or a descriptor that was received
/// in a message. The destructor closes it. In Python, this is a plain number.
///
/// Thread safety: distinct objects may be used concurrently; one object, by one thread at a time.
class Descriptor {
 public:
  /// Owns nothing.
  Descriptor() noexcept = default;

  /// Takes ownership of a descriptor. A negative number means none.
  inline explicit Descriptor(int descriptor) noexcept : descriptor_(descriptor) {}

  inline Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  /// Returns the descriptor; -1 if there is none.
  inline int get() const noexcept { return descriptor_; }

  /// Returns whether the object owns a descriptor.
  inline explicit operator bool() const noexcept { return descriptor_ >= 0; }

  /// Returns the descriptor and gives up ownership.
  inline int release() noexcept { return std::exchange(descriptor_, -1); }

  /// Closes the descriptor; closing it twice is harmless. close(2).
  void close() noexcept;

 private:
  int descriptor_ = -1;
};

/// Replaces a new descriptor with a close-on-exec copy whose number is 3 or more, so that it is not
/// that of stdin, stdout or stderr. In a program that closed one of these streams, a new descriptor
/// may get the number of the stream, and would then receive the output that is meant for the
/// stream. Returns the copy; -1 with errno if the system has no more descriptors. Closes the
/// original in both cases.
int move_above_standard_streams(int descriptor) noexcept;
/// Does the same for the numbers 0, 1 and 2, and returns any other number unchanged, without a
/// system call. The library calls this for each descriptor that it opens.
inline int above_standard_streams(int descriptor) noexcept {
  return descriptor > 2 || descriptor < 0 ? descriptor : move_above_standard_streams(descriptor);
}

/// Writes to a descriptor of any kind as write(2) does, with the same result and errno, but without
/// the signals that write(2) can raise: SIGPIPE (the reader of a pipe or the peer of a socket has
/// closed), SIGXFSZ and SIGTTOU. It changes no signal disposition, so any program can call it on
/// any thread. It is meant for log lines and reports.
std::ptrdiff_t write_without_signals(int descriptor, std::span<const std::byte> bytes) noexcept;

}  // namespace net
