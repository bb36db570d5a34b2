module;

#include <utility>

module net.server;

import net.socket;
import net.handler;

namespace net {

namespace {

// Returning from a park costs system calls, so several requests of one client are served at once.
constexpr int requests_in_a_row = 4;

}  // namespace

void Inline::process(Request request) {
  for (int served = 0; served < requests_in_a_row; ++served) {
    if (request.step() == Next::close || request.try_park()) return;
  }
  request.park();
}

DrainReport Inline::drain(Deadline) { return {}; }

}  // namespace net
