module;

#include <mutex>
#include <vector>

module net.server;

import :core;

// The moment of a fork: the rest of net.server:core.

namespace net {
namespace {

struct AllServers {
  std::mutex mutex;
  std::vector<ServerCore*> cores;
};

AllServers& all() {
  // Never destroyed: servers with static storage are removed from it at exit.
  static AllServers& servers = *new AllServers;
  return servers;
}

}  // namespace

void Servers::add(ServerCore& core) {
  const std::lock_guard lock(all().mutex);
  all().cores.push_back(&core);
}

void Servers::remove(const ServerCore& core) noexcept {
  const std::lock_guard lock(all().mutex);
  std::erase(all().cores, &core);
}

void Servers::lock() noexcept {
  all().mutex.lock();
  for (ServerCore* core : all().cores) {
    core->registry.mutex.lock();
    core->closer_mutex().lock();
  }
}

void Servers::unlock() noexcept {
  for (ServerCore* core : all().cores) {
    core->closer_mutex().unlock();
    core->registry.mutex.unlock();
  }
  all().mutex.unlock();
}

}  // namespace net
