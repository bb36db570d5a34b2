module;

#include <mutex>
#include <vector>

module net.server;

import :fork_scope;

namespace net {
namespace {

struct AllServers {
  std::mutex mutex;
  std::vector<Service*> services;
};

AllServers& all() {
  // Never destroyed, because servers with static storage are removed from it at exit.
  static AllServers& servers = *new AllServers;
  return servers;
}

}  // namespace

void ForkScope::add(Service& service) {
  const std::lock_guard lock(all().mutex);
  all().services.push_back(&service);
}

void ForkScope::remove(const Service& service) noexcept {
  const std::lock_guard lock(all().mutex);
  std::erase(all().services, &service);
}

void ForkScope::lock() noexcept {
  all().mutex.lock();
  for (Service* service : all().services) {
    service->opening.lock();
    service->registry.mutex.lock();
    service->closer.mutex().lock();
  }
}

void ForkScope::unlock() noexcept {
  for (Service* service : all().services) {
    service->closer.mutex().unlock();
    service->registry.mutex.unlock();
    service->opening.unlock();
  }
  all().mutex.unlock();
}

bool ForkScope::close_oldest_lingering() noexcept {
  const std::lock_guard lock(all().mutex);
  for (;;) {
    Closer* with_oldest = nullptr;
    CoarseTime oldest = Closer::never;
    for (Service* service : all().services) {
      if (service->forked_away()) continue;  // its poller is shared with the parent
      if (const CoarseTime since = service->closer.oldest(); since < oldest) {
        oldest = since;
        with_oldest = &service->closer;
      }
    }
    if (with_oldest == nullptr) return false;
    if (with_oldest->close_oldest()) return true;  // otherwise another thread has just closed it
  }
}

void ForkScope::protect_shared_memory(const Service& own) noexcept {
  // No lock is needed: this process has only one thread, and the fork left the list whole.
  for (const Service* service : all().services) {
    service->from_parent.protect();
    if (service != &own) service->children.protect();
  }
}

}  // namespace net
