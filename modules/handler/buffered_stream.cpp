module;

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <gsl/narrow>
#include <gsl/util>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

module net.handler;

import net.socket;

namespace net {
namespace {

// A UDP datagram is smaller than 64 KiB, and a Unix datagram is smaller than the send buffer, whose
// default size is 208 KiB. So a handler that collects more probably has a bug.
constexpr std::size_t largest_datagram = std::size_t{256} * 1024;

// The most that is held of answers to pipelined requests. A larger send saves little.
constexpr std::size_t largest_held = std::size_t{64} * 1024;

// The most that is sent of a file before other connections have their turn.
constexpr std::size_t file_part = std::size_t{4} * 1024 * 1024;

[[noreturn]] void throw_file_ended(std::uint64_t missing) {
  throw EndOfStream("a file ended " + std::to_string(missing) +
                    " bytes before the end of what was to be sent of it");
}

}  // namespace

BufferedStream::BufferedStream(Socket socket) noexcept : socket_(std::move(socket)) {}

bool BufferedStream::receive() {
  if (ended_) return false;
  if (held_ && !flush_now()) flush();
  const auto room = input_.room(1);
  const std::size_t count = socket_.recv(room);
  (count == 0 ? ended_ : received_) = true;
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
  const bool may_keep = pending_ || collecting_ || collected_most_ != 0 || holds();
  if (may_keep) [[unlikely]] {
    if (keeps(bytes)) return;
  }
  while (!bytes.empty()) {
    const auto count = socket_.try_send(bytes);
    if (!count) {
      full_ = true;
      send_later(bytes);
      return;
    }
    bytes = bytes.subspan(*count);
  }
}

// Stores the bytes, or sends them after pending output. Returns false if they are to be sent now.
bool BufferedStream::keeps(std::span<const std::byte> bytes) {
  if (!collecting_) {
    if (file_ == nullptr && collect(bytes)) return true;
    if (!pending_) return false;
    send_later(bytes);
    return true;
  }
  if (output_.size() + bytes.size() > largest_datagram) {
    throw_system_error(EMSGSIZE,
                       "a datagram of more than " + std::to_string(largest_datagram) + " bytes");
  }
  keep(bytes);
  return true;
}

// Makes a call that may wait for the client. The first wait sets the deadline of the socket to the
// limit of this answer; the deadline is reset before each call of a handler.
template <class Call>
auto BufferedStream::waiting(Call call) {
  if (answer_limit_.count() != 0 && socket_.deadline().is_never()) {
    socket_.set_deadline(Deadline(answer_limit_));
  }
  return call();
}

// Stores or sends bytes that the socket did not take at once.
void BufferedStream::send_later(std::span<const std::byte> bytes) {
  if (output_.size() + bytes.size() <= write_buffer_) {
    keep(bytes);
    return;
  }
  flush();
  while (!bytes.empty()) {
    const std::size_t count = waiting([&] { return socket_.send(bytes); });
    bytes = bytes.subspan(count);
  }
}

// Adds the bytes to the collected or held output. Returns false if they must still be sent.
bool BufferedStream::collect(std::span<const std::byte> bytes) {
  const bool holding = holds();
  const std::size_t most_held = std::min(largest_held, write_buffer_);
  const std::size_t most = holding ? std::max(most_held, collected_most_) : collected_most_;
  const auto fits = [&](std::size_t size) { return output_.size() + bytes.size() <= size; };
  if (most != 0 && fits(most)) {
    keep(bytes);
    held_ = held_ || holding;
    return true;
  }
  if (!holding && held_ && fits(most_held)) {
    // This is the last of several answers: one send for all.
    keep(bytes);
    flush_now();
    return true;
  }
  if (!output_.empty() && (held_ || collected_most_ != 0)) flush_now();
  if (!holding || full_ || bytes.size() > most_held) return false;
  keep(bytes);
  held_ = true;
  return true;
}

void BufferedStream::stop_holding() {
  hold_ = Hold::none;
  if (held_ && !flush_now()) flush();
}

std::uint64_t BufferedStream::pending() const noexcept {
  return output_.size() + (file_ ? file_->left : 0);
}

void BufferedStream::keep(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  output_.append(bytes);
  pending_ = true;
}

void BufferedStream::note_sent() noexcept {
  pending_ = full_ = false;
  output_.shrink();
}

std::size_t BufferedStream::shrink() noexcept {
  input_.shrink();
  output_.shrink();
  return input_.capacity() + output_.capacity();
}

void BufferedStream::discard() noexcept {
  input_.take(input_.size());
  output_.take(output_.size());
  file_.reset();
  note_sent();
  input_.shrink();
}

// Sends the first bytes of the output. Returns false if the socket is full, and `may_wait` is no.
bool BufferedStream::send_output(std::size_t count, MayWait may_wait) {
  while (count > 0) {
    const auto bytes = output_.content().first(count);
    const std::optional<std::size_t> sent = may_wait == MayWait::yes
                                                ? waiting([&] { return socket_.send(bytes); })
                                                : socket_.try_send(bytes);
    if (!sent) {
      full_ = true;
      return false;
    }
    output_.take(*sent);
    count -= *sent;
    if (file_) file_->behind -= *sent;
  }
  return true;
}

// Returns false if a part of the file is left: the socket is full, or other connections have their
// turn.
bool BufferedStream::send_file_part() {
  std::size_t most = file_part;
  while (file_->left > 0) {
    const auto wanted = gsl::narrow_cast<std::size_t>(std::min<std::uint64_t>(file_->left, most));
    const auto sent = try_sendfile(socket_, file_->file.get(), file_->offset, wanted);
    full_ = !sent;
    if (!sent || most == 0) return false;
    if (*sent == 0) throw_file_ended(file_->left);
    file_->offset += *sent;
    file_->left -= *sent;
    most -= *sent;
  }
  file_.reset();
  return true;
}

bool BufferedStream::flush_now() {
  if (collecting_) return true;
  held_ = false;
  if (file_ && (!send_output(file_->behind, MayWait::no) || !send_file_part())) return false;
  if (!send_output(output_.size(), MayWait::no)) return false;
  note_sent();
  return true;
}

void BufferedStream::flush() {
  if (collecting_) return;
  held_ = false;
  if (file_) {
    send_output(file_->behind, MayWait::yes);
    const auto part = std::exchange(file_, nullptr);
    try {
      send_all(part->file.get(), part->offset, part->left);
    } catch (...) {
      // After an incomplete file, nothing more may be sent.
      output_.take(output_.size());
      note_sent();
      throw;
    }
  }
  send_output(output_.size(), MayWait::yes);
  note_sent();
}

void BufferedStream::send_all(int file, std::uint64_t offset, std::uint64_t count) {
  const auto sent = waiting([&] { return sendfile(socket_, file, offset, count); });
  if (sent < count) throw_file_ended(count - sent);
}

void BufferedStream::send_file(int file, std::uint64_t offset, std::uint64_t count) {
  if (collecting_) throw_system_error(EINVAL, "send_file: a datagram is sent by reply");
  if (count == 0) return;
  // The first of two files is sent before the second one is opened.
  if (file_ && !flush_now()) flush();
  if (write_buffer_ == 0) {
    flush();
    send_all(file, offset, count);
    return;
  }
  Descriptor own(above_standard_streams(::fcntl(file, F_DUPFD_CLOEXEC, 3)));
  if (!own) throw_system_error(errno, "send_file");
  file_ = std::make_unique<FilePart>(std::move(own), offset, count, output_.size());
  pending_ = true;
  try {
    flush_now();
  } catch (...) {
    file_.reset();  // as if it had not been requested
    pending_ = !output_.empty();
    throw;
  }
}

}  // namespace net
