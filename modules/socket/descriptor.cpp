module;

#include <unistd.h>

module net.socket;

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

}  // namespace net
