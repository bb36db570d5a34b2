/// \file
/// `net.handler:byte_buffer`: bytes on their way, in memory that is borrowed.
export module net.handler:byte_buffer;

import net.standard;

export namespace net {

/// Holds bytes between a writer at its end and a reader at its begin. Its memory is borrowed from a
/// store of the thread and goes back when it is empty and asked to `shrink`.
/// Thread safety: none; its connection has one owner at a time.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer();

  /// Returns whether it holds nothing.
  inline bool empty() const noexcept { return begin_ == end_; }
  /// Returns how many bytes it holds.
  inline std::size_t size() const noexcept { return end_ - begin_; }
  /// Returns how many bytes of memory it has borrowed.
  inline std::size_t capacity() const noexcept { return capacity_; }
  /// Views the bytes that it holds, until the next call of another member.
  inline std::span<const std::byte> content() const noexcept { return {memory_ + begin_, size()}; }

  /// Returns room for at least `least` more bytes, moving what is held if need be.
  inline std::span<std::byte> room(std::size_t least) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < least) make_room(least);
    return {memory_ + end_, capacity_ - end_};
  }
  /// Marks `count` bytes of the free space as filled.
  inline void filled(std::size_t count) noexcept { end_ += count; }
  /// Adds a copy of the bytes at the end.
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

}  // namespace net
