module;

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :service;

namespace net {
namespace {

std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

// The number of descriptors that are kept for everything but connections.
std::size_t reserve() { return std::max<std::size_t>(16, descriptor_limit() / 16); }

std::size_t for_connections() {
  return descriptor_limit() - std::min(descriptor_limit(), reserve());
}

constexpr std::size_t most_datagrams = 1024;

std::size_t most_connections(ServerKind kind, std::size_t wanted, std::size_t descriptors_each) {
  if (wanted != 0) return wanted;
  if (!is_stream(kind)) return most_datagrams;
  return std::max<std::size_t>(1, for_connections() / descriptors_each);
}

}  // namespace

Service::Service(AnyServerParts& parts)
    : options(parts.options),
      maker(std::move(parts.maker)),
      hooks(parts.hooks, parts.called, parts.policy->name(), counters),
      own_lot_(parts.policy->context().parking_lot() == nullptr ? std::make_unique<OwnParkingLot>()
                                                                : nullptr),
      lot(own_lot_ ? *own_lot_ : *parts.policy->context().parking_lot()),
      slots(registry, wakeup,
            most_connections(parts.kind, options.max_connections,
                             parts.policy->context().descriptors_each())),
      closer(poller, timer, options.linger.count(), options.linger_bytes,
             std::min<std::size_t>(64, reserve() / 2)),
      most_descriptors(for_connections()) {}

Service::~Service() = default;

void Service::close_polls() noexcept {
  closer.close_in_child();
  poller.close();
  timer.close_in_child();
  if (own_lot_) own_lot_->close();
  wakeup.close();
}

void Service::add(Registered& connection) noexcept {
  const std::lock_guard lock(registry.mutex);
  registry.add(connection);
}

void Service::unlink(Registered& connection) noexcept {
  const std::lock_guard lock(registry.mutex);
  registry.unlink(connection);
}

void Service::gone() noexcept {
  registry.done([this](std::size_t left) {
    slots.freed();
    if (left == 0 && draining()) wakeup.signal();
  });
}

void Service::set_stop(bool stop) noexcept {
  stop_.store(stop);
  if (!forked_away()) from_parent->stop.store(stop);
}

}  // namespace net
