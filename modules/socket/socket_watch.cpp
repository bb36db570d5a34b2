module;

#include <cstddef>

module net.socket;

namespace net {

void SocketWatch::received(std::size_t) noexcept {}

void SocketWatch::sent(std::size_t) noexcept {}

}  // namespace net
