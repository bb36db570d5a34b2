module;

#include <utility>

module net.server;

import net.socket;
import net.handler;

namespace net {

namespace {

// To park a connection that has more requests ready, and to get it back, costs system calls. So up
// to this many steps of one connection run in a row.
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
