module;

#include <memory>
#include <system_error>
#include <utility>

module net.handler;

import net.socket;

namespace net {

RequestContext::RequestContext(Socket connection, const Address& client_address,
                               const Limits& limits) noexcept
    : stream_(std::move(connection)), client_address_(client_address), limits_(limits) {}

RequestContext::~RequestContext() = default;

std::size_t RequestContext::request_size() const noexcept { return 0; }

Address RequestContext::local_address() const {
  return datagram_ != nullptr ? datagram_->local_address() : stream_.socket().getsockname();
}

void RequestContext::set_client(const Address& client) {
  proxy_address_ = std::make_unique<const Address>(client_address_);
  client_address_ = client;
}

void RequestContext::limits_changed() {}

void RequestContext::set_limits(const Limits& limits) {
  check(limits);
  limits_ = limits;
  limits_changed();
}

Socket RequestContext::detach() {
  if (datagram_ != nullptr) {
    throw std::system_error(std::make_error_code(std::errc::operation_not_supported),
                            "detach: a datagram has no connection");
  }
  stream_.flush();
  detached_ = true;
  // `Socket::detach` removes the server's timeouts from the descriptor, and the new `Socket` has
  // none, so the caller gets an ordinary socket.
  return Socket::adopt(socket().detach());
}

}  // namespace net
