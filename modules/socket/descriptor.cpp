module;

#include <unistd.h>

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
  // Linux closes even if it reports EINTR; a second close could hit somebody else's descriptor.
  if (descriptor_ >= 0) ::close(release());
}

std::ptrdiff_t write_without_signals(int descriptor, std::span<const std::byte> bytes) noexcept {
  const WithoutWriteSignals without_signals;
  return ::write(descriptor, bytes.data(), bytes.size());
}

}  // namespace net
