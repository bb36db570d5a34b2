/// \file
/// `net.handler:byte_buffer`: a buffer of bytes in borrowed memory.
export module net.handler:byte_buffer;

import net.standard;

export namespace net {

/// A queue of bytes between a writer at its end and a reader at its beginning. Its memory usually
/// comes from a cache of blocks, to which `shrink` returns the memory of an empty buffer.
/// Thread safety: none; a connection has one owner at a time.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer();

  /// Returns whether the buffer contains no bytes.
  inline bool empty() const noexcept { return begin_ == end_; }
  /// Returns the number of bytes in the buffer.
  inline std::size_t size() const noexcept { return end_ - begin_; }
  /// Returns how many bytes of memory the buffer has borrowed.
  inline std::size_t capacity() const noexcept { return capacity_; }
  /// Returns a view of the bytes in the buffer. The view is valid until the next call of a
  /// non-const member.
  inline std::span<const std::byte> content() const noexcept { return {memory_ + begin_, size()}; }

  /// Returns free space for at least `least` more bytes, and moves the content if necessary.
  inline std::span<std::byte> room(std::size_t least) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < least) make_room(least);
    return {memory_ + end_, capacity_ - end_};
  }
  /// Marks `count` bytes of the free space as filled.
  inline void filled(std::size_t count) noexcept { end_ += count; }
  /// Appends a copy of the bytes.
  void append(std::span<const std::byte> bytes);
  /// Stores a copy of the bytes, in memory of exactly their size. Precondition: the buffer is
  /// empty, and was never used.
  void hold(std::span<const std::byte> bytes);
  /// Removes up to `count` bytes from the beginning, and returns them. They stay readable until the
  /// next call of another non-const member.
  inline std::span<const std::byte> take(std::size_t count) noexcept {
    const auto taken = content().first(count < size() ? count : size());
    begin_ += taken.size();
    return taken;
  }
  /// Releases unused memory: all memory if the buffer is empty, otherwise the excess if that is
  /// large.
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

}  // namespace net
