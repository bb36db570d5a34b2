module;

#include <cstddef>
#include <cstring>
#include <span>

module net.handler;

namespace net {

std::size_t line(std::span<const std::byte> received) noexcept {
  if (received.empty()) return 0;
  const void* const end = std::memchr(received.data(), '\n', received.size());
  if (end == nullptr) return 0;
  return static_cast<std::size_t>(static_cast<const std::byte*>(end) - received.data()) + 1;
}

}  // namespace net
