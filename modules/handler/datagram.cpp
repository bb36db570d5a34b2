module;

#include <cstddef>
#include <optional>
#include <span>

module net.handler;

import net.socket;

namespace net {

Datagram::Datagram(std::span<const std::byte> packet, std::size_t whole_size,
                   const Address& local_address,
                   const std::optional<PeerCredentials>& sender) noexcept
    : packet_(packet), whole_size_(whole_size), local_address_(local_address), sender_(sender) {}

Datagram::~Datagram() = default;

}  // namespace net
