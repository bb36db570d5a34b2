module;

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <gsl/assert>
#include <gsl/util>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

module net.handler;

import net.socket;

namespace net {
namespace {

// What one receive may take. Connections hold such a block only while they are served.
constexpr std::size_t block_size = std::size_t{64} * 1024;

// What no datagram exceeds, of whatever family: who collects more has lost count.
constexpr std::size_t largest_datagram = std::size_t{256} * 1024;

// What is held of answers to pipelined requests. Beyond that a larger send saves little.
constexpr std::size_t largest_held = block_size;

// Blocks that were given back, so that serving a request allocates nothing: each thread has a place
// to look at first, and shares it only with every sixteenth. Not thread_local with a destructor:
// glibc ends the program if it has no memory to register one.
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

std::string_view text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void throw_too_long(const char* what, std::size_t limit) {
  throw std::system_error(std::make_error_code(std::errc::message_size),
                          std::string(what) + " of more than " + std::to_string(limit) + " bytes");
}

}  // namespace

void check(const Limits& limits) {
  const auto check_one = [](const char* name, std::chrono::milliseconds limit) {
    if (limit.count() > 0) return;
    throw_system_error(EINVAL, std::string("limits.") + name + " is " +
                                   std::to_string(limit.count()) + " ms, but must be 1 ms or more");
  };
  check_one("request", limits.request);
  check_one("idle", limits.idle);
  check_one("send", limits.send);
}

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

BufferedStream::BufferedStream(Socket socket) noexcept : socket_(std::move(socket)) {}

bool BufferedStream::receive() {
  if (ended_) return false;
  if (held_) flush_now();
  const auto room = input_.room(1);
  const std::size_t count = socket_.recv(room);
  if (count == 0) ended_ = true;
  if (count != 0) received_ = true;
  input_.filled(count);
  return count != 0;
}

bool BufferedStream::receive_rest(Deadline& whole) {
  if (rest_limit_.count() == 0) return receive();
  if (whole.is_never()) whole = Deadline(rest_limit_);
  socket_.set_receive_deadline(whole);
  const auto restore = gsl::finally([this] { socket_.set_receive_deadline(Deadline::never()); });
  return receive();
}

void BufferedStream::hold_datagram(std::span<const std::byte> packet) {
  input_.hold(packet);
  ended_ = collecting_ = true;
}

void BufferedStream::write(std::span<const std::byte> bytes) {
  const bool may_keep = collecting_ || held_ || collected_most_ != 0 || holds();
  if (may_keep) [[unlikely]] {
    if (keeps(bytes)) return;
  }
  if (output_.empty()) {
    while (!bytes.empty()) {
      const auto count = socket_.try_send(bytes);
      if (!count) {
        full_ = true;
        break;
      }
      bytes = bytes.subspan(*count);
    }
  }
  if (!bytes.empty()) send_later(bytes);
}

// Takes the bytes if they are not to be sent now.
bool BufferedStream::keeps(std::span<const std::byte> bytes) {
  if (!collecting_) return collect(bytes);
  if (output_.size() + bytes.size() > largest_datagram) {
    throw_too_long("a datagram", largest_datagram);
  }
  output_.append(bytes);
  return true;
}

// What the socket has not taken at once.
void BufferedStream::send_later(std::span<const std::byte> bytes) {
  if (output_.size() + bytes.size() <= write_buffer_) {
    output_.append(bytes);
    return;
  }
  flush();
  while (!bytes.empty()) bytes = bytes.subspan(socket_.send(bytes));
}

// Takes the bytes along with what is collected or held; false if they are still to be sent.
bool BufferedStream::collect(std::span<const std::byte> bytes) {
  const bool holding = holds();
  const std::size_t most_held = std::min(largest_held, write_buffer_);
  const std::size_t most = holding ? std::max(most_held, collected_most_) : collected_most_;
  const auto fits = [&](std::size_t size) { return output_.size() + bytes.size() <= size; };
  if (most != 0 && fits(most)) {
    output_.append(bytes);
    held_ = held_ || holding;
    return true;
  }
  if (!holding && held_ && fits(most_held)) {
    // The last of several answers: one send for all.
    output_.append(bytes);
    flush_now();
    return true;
  }
  if (!output_.empty() && (held_ || collected_most_ != 0)) flush_now();
  if (!holding || full_ || bytes.size() > most_held) return false;
  output_.append(bytes);
  held_ = true;
  return true;
}

void BufferedStream::send_held() noexcept {
  try {
    flush_now();
  } catch (const std::exception&) {
    // The next write meets the same.
  }
}

bool BufferedStream::flush_now() {
  if (collecting_) return true;
  held_ = false;
  while (!output_.empty()) {
    const auto count = socket_.try_send(output_.content());
    if (!count) {
      full_ = true;
      return false;
    }
    output_.take(*count);
  }
  full_ = false;
  output_.shrink();
  return true;
}

void BufferedStream::flush() {
  if (collecting_) return;
  held_ = false;
  while (!output_.empty()) output_.take(socket_.send(output_.content()));
  full_ = false;
  output_.shrink();
}

std::string_view StreamReader::receive_some(std::size_t limit) {
  Expects(stream_ != nullptr);
  if (stream_->input().empty() && !stream_->receive()) return {};
  return text(stream_->input().take(limit));
}

std::string_view StreamReader::buffered() const noexcept {
  Expects(stream_ != nullptr);
  return text(stream_->input().content());
}

std::optional<std::string_view> StreamReader::read_line(std::size_t limit) {
  return read_until("\n", limit);
}

std::optional<std::string_view> StreamReader::read_until(std::string_view terminator,
                                                         std::size_t limit) {
  Expects(stream_ != nullptr && !terminator.empty());
  Deadline whole;
  ByteBuffer& input = stream_->input();
  for (std::size_t searched = 0;;) {
    const auto held = text(input.content());
    const auto end = held.substr(0, limit).find(terminator, searched);
    if (end != std::string_view::npos) return text(input.take(end + terminator.size()));
    if (held.size() > limit) throw_too_long("a line", limit);
    // Its begin may have come already.
    searched = held.size() - std::min(held.size(), terminator.size() - 1);
    if (!(input.empty() ? stream_->receive() : stream_->receive_rest(whole))) break;
  }
  if (input.empty()) return std::nullopt;
  return text(input.take(input.size()));
}

std::string_view StreamReader::read_exactly(std::size_t count, std::size_t limit) {
  Expects(stream_ != nullptr);
  if (count > limit) throw_too_long("a read", limit);
  Deadline whole;
  ByteBuffer& input = stream_->input();
  while (input.size() < count) {
    if (!(input.empty() ? stream_->receive() : stream_->receive_rest(whole))) {
      throw EndOfStream("the stream ended " + std::to_string(count - input.size()) +
                        " bytes before the end of what was read");
    }
  }
  return text(input.take(count));
}

void StreamReader::read_exactly(std::span<std::byte> into) {
  Expects(stream_ != nullptr);
  Deadline whole;
  for (bool begun = false; !into.empty(); begun = true) {
    if (stream_->input().empty() && !(begun ? stream_->receive_rest(whole) : stream_->receive())) {
      throw EndOfStream("the stream ended " + std::to_string(into.size()) +
                        " bytes before the end of what was read");
    }
    const auto taken = stream_->input().take(into.size());
    std::ranges::copy(taken, into.begin());
    into = into.subspan(taken.size());
  }
}

void StreamWriter::write(std::string_view text) { write_bytes(bytes(text)); }

void StreamWriter::write_bytes(std::span<const std::byte> bytes) {
  Expects(stream_ != nullptr);
  stream_->write(bytes);
}

void StreamWriter::set_buffer(std::size_t size) noexcept {
  Expects(stream_ != nullptr);
  stream_->set_collected(size);
}

void StreamWriter::flush() {
  Expects(stream_ != nullptr);
  stream_->flush();
}

}  // namespace net
