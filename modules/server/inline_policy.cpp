module;

#include <utility>

module net.server;

import net.socket;
import net.handler;

namespace net {

void Inline::process(Request request) {
  if (request.step() == Next::keep) request.park();
}

DrainReport Inline::drain(Deadline) { return {}; }

}  // namespace net
