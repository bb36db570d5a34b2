module;

#include <cerrno>
#include <chrono>
#include <string>

module net.handler;

import net.socket;

namespace net {

void check(const Limits& limits) {
  const auto check_one = [](const char* name, std::chrono::milliseconds limit) {
    if (limit.count() > 0) return;
    throw_system_error(EINVAL, std::string("limits.") + name + " is " +
                                   std::to_string(limit.count()) + " ms, but must be 1 ms or more");
  };
  check_one("request", limits.request);
  check_one("idle", limits.idle);
  check_one("send", limits.send);
  check_one("answer", limits.answer);
}

}  // namespace net
