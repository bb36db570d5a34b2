module;

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <gsl/narrow>
#include <limits>
#include <optional>
#include <span>

module net.socket;

import :native;
import :waiting;
import :write_signals;

namespace net {
namespace {

// Makes the descriptor non-blocking while this object exists, since sendfile has no MSG_DONTWAIT.
class WithoutBlocking {
 public:
  explicit WithoutBlocking(const Operation& operation)
      : descriptor_(operation.fileno()), before_(::fcntl(descriptor_, F_GETFL)) {
    if (before_ < 0 || ::fcntl(descriptor_, F_SETFL, before_ | O_NONBLOCK) != 0) {
      operation.fail(errno);
    }
  }
  WithoutBlocking(const WithoutBlocking&) = delete;
  WithoutBlocking& operator=(const WithoutBlocking&) = delete;
  ~WithoutBlocking() { ::fcntl(descriptor_, F_SETFL, before_); }

 private:
  int descriptor_;
  int before_;
};

// The part of a file that remains to be sent.
struct Rest {
  int file;
  bool has_position;
  off_t offset;
  std::uint64_t count;  // at most; the file may end earlier
  std::uint64_t sent = 0;

  void took(std::size_t bytes) noexcept {
    sent += bytes;
    count -= bytes;
  }
};

// Sends with sendfile(2). Returns false if the kernel does not support this for the file.
bool send_uncopied(Operation& operation, Rest& rest) {
  constexpr std::uint64_t most = 1U << 30U;
  const WithoutWriteSignals without_signals;  // sendfile has no MSG_NOSIGNAL
  const WithoutBlocking without_blocking(operation);
  while (rest.count > 0) {
    const auto count = ::sendfile(operation.fileno(), rest.file, &rest.offset,
                                  gsl::narrow_cast<std::size_t>(std::min(rest.count, most)));
    if (count == 0) return true;
    if (count > 0) {
      rest.took(gsl::narrow_cast<std::size_t>(count));
      operation.note_sent(gsl::narrow_cast<std::size_t>(count));
    } else if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
      return false;
    } else {
      operation.go_on_sending(errno);
    }
  }
  return true;
}

void wait_to_read(const Operation& operation, int file) {
  const Deadline limit = operation.limit_of_one_wait();
  pollfd polled{file, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&polled, 1, poll_milliseconds(limit));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) operation.fail(errno);
    if (ready == 0 && limit.passed()) operation.fail(ETIMEDOUT);
  }
}

std::size_t read_some(const Operation& operation, const Rest& rest, std::span<std::byte> into) {
  for (;;) {
    // A pipe may have nothing to read for any length of time.
    if (!rest.has_position) wait_to_read(operation, rest.file);
    const auto count = rest.has_position ? ::pread(rest.file, into.data(), into.size(), rest.offset)
                                         : ::read(rest.file, into.data(), into.size());
    if (count >= 0) return gsl::narrow_cast<std::size_t>(count);
    if (errno != EINTR && errno != EAGAIN) throw_system_error(errno, "read the file to send");
  }
}

void send_copied(Operation& operation, Rest& rest) {
  std::array<std::byte, 65536> buffer;
  while (rest.count > 0) {
    const auto room = std::min<std::uint64_t>(rest.count, buffer.size());
    const auto size = read_some(operation, rest, std::span(buffer).first(room));
    if (size == 0) return;
    for (auto left = std::span<const std::byte>(buffer).first(size); !left.empty();) {
      const auto count =
          ::send(operation.fileno(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0) {
        operation.go_on_sending(errno);
      } else {
        operation.note_sent(gsl::narrow_cast<std::size_t>(count));
        left = left.subspan(gsl::narrow_cast<std::size_t>(count));
      }
    }
    rest.offset += gsl::narrow_cast<off_t>(size);
    rest.took(size);
  }
}

void check_offset(std::uint64_t offset) {
  if (offset <= std::uint64_t{std::numeric_limits<off_t>::max()}) return;
  throw_system_error(EOVERFLOW, "offset into the file to send");
}

// Returns nothing if the socket takes no bytes now.
std::optional<std::size_t> try_send_copied(const Operation& operation, const Rest& rest) {
  std::array<std::byte, 65536> buffer;
  const auto room = std::min<std::uint64_t>(rest.count, buffer.size());
  const auto size = read_some(operation, rest, std::span(buffer).first(room));
  if (size == 0) return 0;
  for (;;) {
    const auto count = ::send(operation.fileno(), buffer.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      operation.note_sent(gsl::narrow_cast<std::size_t>(count));
      return gsl::narrow_cast<std::size_t>(count);
    }
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) operation.fail(errno);
  }
}

}  // namespace

std::uint64_t sendfile(Socket& socket, int file, std::uint64_t offset,
                       std::optional<std::uint64_t> count, Deadline deadline) {
  Operation operation(socket, "send a file", deadline);
  if (socket.type() != SocketType::stream) operation.fail(EINVAL);
  // Without waiting, a part may be sent, and the exception could not tell how much.
  if (!operation.waits_to_send()) operation.fail(EINVAL);
  struct stat status{};
  if (::fstat(file, &status) != 0) throw_system_error(errno, "the file to send");
  const bool has_position = S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
  check_offset(offset);
  if (offset != 0 && !has_position) throw_system_error(ESPIPE, "offset into the file to send");
  Rest rest{file, has_position, gsl::narrow_cast<off_t>(offset),
            count.value_or(std::numeric_limits<std::uint64_t>::max())};
  if (!has_position || !send_uncopied(operation, rest)) send_copied(operation, rest);
  return rest.sent;
}

std::optional<std::size_t> try_sendfile(Socket& socket, int file, std::uint64_t offset,
                                        std::size_t count) {
  const Operation operation(socket, "send a file", Deadline::never());
  if (count == 0) return 0;
  check_offset(offset);
  Rest rest{file, true, gsl::narrow_cast<off_t>(offset), count};
  ssize_t sent = 0;
  int error = 0;
  do {
    const WithoutWriteSignals without_signals;
    const WithoutBlocking without_blocking(operation);
    sent = ::sendfile(operation.fileno(), file, &rest.offset, count);
    error = errno;
  } while (sent < 0 && error == EINTR);
  if (sent >= 0) {
    operation.note_sent(gsl::narrow_cast<std::size_t>(sent));
    return gsl::narrow_cast<std::size_t>(sent);
  }
  if (error == EAGAIN) return std::nullopt;
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) {
    return try_send_copied(operation, rest);
  }
  operation.fail(error);
}

}  // namespace net
