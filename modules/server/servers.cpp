module;

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

module net.server;

import net.socket;
import :core;

// The moment of a fork: the rest of net.server:core.

namespace net {
namespace {

struct AllServers {
  std::mutex mutex;
  std::vector<ServerCore*> cores;
};

AllServers& all() {
  static AllServers servers;
  return servers;
}

}  // namespace

void ServerCore::close_in_child(const Connection& own) noexcept {
  // Not Listener::close: the epoll instance is the parent's as well.
  for (const auto& listener : listeners_) {
    listener->close_in_child(own.stream().socket().fileno());
  }
  registry.for_each([&](Connection& connection) {
    if (&connection == &own) return;
    // Datagrams of a listener that is closed hold its descriptor still.
    if (connection.socket().fileno() != own.stream().socket().fileno()) connection.close_in_child();
  });
  closer_.close_in_child();
  ::close(poller.fileno());
  timer.close_in_child();
  if (own_lot_) ::close(own_lot_->fileno());
}

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

void Servers::close_in_child(const Connection& own) noexcept {
  // Nothing is allocated: the parent's want of memory is the child's as well.
  const auto context_of = [](const ServerCore* core) { return &core->policy->context(); };
  const std::span<ServerCore* const> cores(all().cores);
  for (std::size_t i = 0; i < cores.size(); ++i) {
    cores[i]->close_in_child(own);
    PolicyContext* const context = context_of(cores[i]);
    // Servers may share one, which is closed once.
    if (std::ranges::find(cores.first(i), context, context_of) !=
        cores.begin() + static_cast<std::ptrdiff_t>(i))
      continue;
    context->close_in_child();
  }
}

}  // namespace net
