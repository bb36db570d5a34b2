module;

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <gsl/assert>
#include <gsl/narrow>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

module net.handler;

import net.socket;

namespace net {
namespace {

std::string_view text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void throw_too_long(const char* what, std::size_t limit) {
  throw std::system_error(std::make_error_code(std::errc::message_size),
                          std::string(what) + " of more than " + std::to_string(limit) + " bytes");
}

}  // namespace

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
    // The beginning of the terminator may have arrived already.
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

void StreamWriter::send_file(int file, std::uint64_t offset, std::optional<std::uint64_t> count) {
  Expects(stream_ != nullptr);
  struct stat status{};
  if (::fstat(file, &status) != 0) throw_system_error(errno, "send_file");
  if (S_ISREG(status.st_mode)) {
    const auto size = gsl::narrow_cast<std::uint64_t>(status.st_size);
    const std::uint64_t rest = size - std::min(offset, size);
    if (offset > size || count.value_or(0) > rest) {
      throw_system_error(EINVAL, "send_file: the file has " + std::to_string(size) + " bytes");
    }
    count = count.value_or(rest);
  } else if (!S_ISBLK(status.st_mode)) {
    throw_system_error(ESPIPE, "send_file");
  } else if (!count) {
    throw_system_error(EINVAL, "send_file: a device needs a count");
  }
  stream_->send_file(file, offset, *count);
}

void StreamWriter::flush() {
  Expects(stream_ != nullptr);
  stream_->flush();
}

}  // namespace net
