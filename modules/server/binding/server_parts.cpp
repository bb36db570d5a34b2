module;

#include <memory>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;

namespace net {

AnyServerParts::AnyServerParts() noexcept = default;

AnyServerParts::~AnyServerParts() = default;

void AnyServerParts::own(HandlerMaker* handler_maker) noexcept { maker.reset(handler_maker); }

void AnyServerParts::own(AnyPolicy* any_policy) { policy = owned(any_policy); }

void AnyServerParts::share(const std::shared_ptr<AnyPolicy>& any_policy) noexcept {
  policy = any_policy;
}

void AnyServerParts::adopt(Socket socket) { adopted.push_back(std::move(socket)); }

void AnyServerParts::adopt(std::vector<Socket> sockets) {
  for (Socket& socket : sockets) adopted.push_back(std::move(socket));
}

}  // namespace net
