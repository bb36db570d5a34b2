module;

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <gsl/assert>
#include <new>
#include <span>
#include <utility>

module net.handler;

namespace net {
namespace {

// The initial size of a buffer, and so the most that its first receive takes. While a connection
// waits without a thread, it keeps such a block only if more than half of it is in use.
constexpr std::size_t block_size = std::size_t{64} * 1024;

// Cached blocks, so that serving a request allocates nothing. Each thread uses one place, which it
// shares with every sixteenth thread. The cache is not a thread_local with a destructor: glibc ends
// the program if there is no memory to register the destructor.
struct alignas(64) Place {
  std::atomic<std::byte*> block{nullptr};
};
constinit std::array<Place, 16> places;
constinit std::atomic<std::size_t> next_place{0};

std::atomic<std::byte*>& own_place() noexcept {
  constexpr std::size_t none = SIZE_MAX;
  constinit thread_local std::size_t own = none;
  if (own == none) own = next_place.fetch_add(1, std::memory_order_relaxed) % places.size();
  return places[own].block;
}

std::byte* borrow() {
  std::byte* const kept = own_place().exchange(nullptr, std::memory_order_acquire);
  return kept != nullptr ? kept : static_cast<std::byte*>(::operator new(block_size));
}

void give_back(std::byte* block) noexcept {
  std::byte* none = nullptr;
  if (!own_place().compare_exchange_strong(none, block, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    ::operator delete(block);
  }
}

std::byte* allocate(std::size_t capacity) {
  if (capacity == block_size) return borrow();
  return static_cast<std::byte*>(::operator new(capacity));
}

void release(std::byte* memory, std::size_t capacity) noexcept {
  if (capacity == block_size) {
    give_back(memory);
  } else {
    ::operator delete(memory);
  }
}

}  // namespace

ByteBuffer::~ByteBuffer() { release(memory_, capacity_); }

void ByteBuffer::make_room(std::size_t least) {
  if (capacity_ == 0 && least <= block_size) {
    memory_ = borrow();
    capacity_ = block_size;
  } else {
    grow(least);
  }
}

[[gnu::noinline]] void ByteBuffer::grow(std::size_t least) {
  if (capacity_ - size() >= least) {
    std::memmove(memory_, memory_ + begin_, size());
  } else {
    const std::size_t wanted =
        std::max({block_size, size() + least, capacity_ < block_size ? 0 : capacity_ * 2});
    std::byte* const larger = allocate(wanted);
    if (!empty()) std::memcpy(larger, memory_ + begin_, size());
    release(memory_, capacity_);
    memory_ = larger;
    capacity_ = wanted;
  }
  end_ -= begin_;
  begin_ = 0;
}

void ByteBuffer::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::memcpy(room(bytes.size()).data(), bytes.data(), bytes.size());
  end_ += bytes.size();
}

void ByteBuffer::hold(std::span<const std::byte> bytes) {
  Expects(capacity_ == 0);
  if (bytes.empty()) return;
  memory_ = allocate(bytes.size());
  capacity_ = end_ = bytes.size();
  std::memcpy(memory_, bytes.data(), bytes.size());
}

void ByteBuffer::give_back_memory() noexcept {
  if (empty()) {
    begin_ = end_ = 0;
    release(std::exchange(memory_, nullptr), std::exchange(capacity_, 0));
  } else if (capacity_ >= block_size && size() <= capacity_ / 2) {
    move_to_less_memory();
  }
}

[[gnu::noinline]] void ByteBuffer::move_to_less_memory() noexcept {
  auto* const smaller = static_cast<std::byte*>(::operator new(size(), std::nothrow));
  if (smaller == nullptr) return;
  std::memcpy(smaller, memory_ + begin_, size());
  release(memory_, capacity_);
  memory_ = smaller;
  end_ = capacity_ = size();
  begin_ = 0;
}

}  // namespace net
