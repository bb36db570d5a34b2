module net.server;

namespace net {

BoundHandler::~BoundHandler() = default;

HandlerMaker::~HandlerMaker() = default;

}  // namespace net
