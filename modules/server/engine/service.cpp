module;

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;

namespace net {
namespace {

std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

// Descriptors for everything but connections.
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
      hooks(parts.hooks, parts.verifies, counters),
      own_lot_(parts.policy->context().parking_lot() == nullptr ? std::make_unique<ParkingLot>()
                                                                : nullptr),
      lot(own_lot_ ? *own_lot_ : *parts.policy->context().parking_lot()),
      slots(registry, wakeup,
            most_connections(parts.kind, options.max_connections,
                             parts.policy->context().descriptors_each())),
      closer(poller, timer, options.linger.count(), options.linger_bytes),
      most_rejected(std::min<std::size_t>(64, reserve() / 2)),
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

// --- children ---------------------------------------------------------------------------------

std::size_t Service::take_child_slot() {
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    int free = free_slot;
    if (!children_.at(slot).descriptor.compare_exchange_strong(free, taken_slot)) continue;
    FromChildren::Slot& shared = from_children->slots.at(slot);
    shared.told.store(0);
    shared.silence.between.store(0);
    shared.silence.reading.store(0);
    shared.silence.amid.store(0);
    shared.silence.ended.store(0);
    return slot;
  }
  throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                          "more children than a server can count");
}

void Service::note_child(std::size_t slot, int descriptor) noexcept {
  children_.at(slot).descriptor.store(descriptor);
}

void Service::follow_child(std::size_t slot, Connection& connection) noexcept {
  OwnChild& child = children_.at(slot);
  {
    const std::lock_guard lock(registry.mutex);
    child.connection = &connection;
  }
  close_if_given_away(child, from_children->slots.at(slot));  // it may have told so already
}

void Service::forget_child(std::size_t slot) noexcept {
  children_.at(slot).descriptor.store(taken_slot);
  // A signal handler must not wait for a lock, so this thread waits for it.
  while (killing_.load() != 0) std::this_thread::yield();
}

void Service::free_child_slot(std::size_t slot) noexcept {
  OwnChild& child = children_.at(slot);
  close_if_given_away(child, from_children->slots.at(slot));
  {
    const std::lock_guard lock(registry.mutex);
    child.connection = nullptr;
  }
  child.descriptor.store(free_slot);
}

void Service::close_given_away() noexcept {
  if (from_children->given_away.exchange(0) == 0) return;
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    OwnChild& child = children_.at(slot);
    if (child.descriptor.load() >= 0) close_if_given_away(child, from_children->slots.at(slot));
  }
}

void Service::close_if_given_away(OwnChild& child, const FromChildren::Slot& shared) noexcept {
  if (!Told::from(shared.told.load()).given_away()) return;
  Socket ours;
  {
    const std::lock_guard lock(registry.mutex);
    if (child.connection != nullptr) ours = child.connection->leave_to_child();
  }
  // Without the lock, as that may take time.
  if (ours.fileno() >= 0) OwnDescriptors::replace(ours.fileno(), timer.fileno());
}

// Not by process number: the system may give one away again before we have learned that it is free.
void Service::kill_children() noexcept {
  if (forked_away()) return;
  const int saved = errno;
  killing_.fetch_add(1);
  for (const OwnChild& child : children_) {
    if (const int descriptor = child.descriptor.load(); descriptor >= 0) kill_child(descriptor);
  }
  killing_.fetch_sub(1);
  errno = saved;
}

void kill_child(int descriptor) noexcept {
  ::syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, nullptr, 0);
}

}  // namespace net
