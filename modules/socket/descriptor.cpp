module;

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>

module net.socket;

import :write_signals;

namespace net {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = other.release();
  return *this;
}

Descriptor::~Descriptor() { close(); }

void Descriptor::close() noexcept {
  // Linux closes the descriptor even if it reports EINTR. A second close could close a descriptor
  // that another thread has just opened.
  if (descriptor_ >= 0) ::close(release());
}

int move_above_standard_streams(int descriptor) noexcept {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int error = errno == EINVAL ? EMFILE : errno;  // EINVAL: RLIMIT_NOFILE is 3 or less
  ::close(descriptor);
  errno = error;
  return copy;
}

std::ptrdiff_t write_without_signals(int descriptor, std::span<const std::byte> bytes) noexcept {
  const WithoutWriteSignals without_signals;
  return ::write(descriptor, bytes.data(), bytes.size());
}

}  // namespace net
