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

constexpr int lowest_priority = 19;

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
      own_lot_(parts.policy->context().parking_lot() == nullptr ? std::make_unique<OwnParkingLot>()
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

void Service::follow_child(std::size_t slot, std::shared_ptr<Child::Tie> tie) noexcept {
  {
    const std::lock_guard lock(registry.mutex);
    children_.at(slot).tie = std::move(tie);
  }
  close_if_given_away(slot);  // it may have told so already
}

void Service::forget_child(std::size_t slot) noexcept {
  children_.at(slot).descriptor.store(taken_slot);
  // A signal handler must not wait for a lock, so this thread waits for it.
  while (killing_.load() != 0) std::this_thread::yield();
}

void Service::free_child_slot(std::size_t slot) noexcept {
  {
    const std::lock_guard lock(registry.mutex);
    children_.at(slot).tie.reset();
  }
  children_.at(slot).descriptor.store(free_slot);
}

Told Service::take_told(std::size_t slot, Connection& connection) noexcept {
  const Told told = Told::from(from_children->slots.at(slot).told.load());
  if (!told.given_away()) return told;
  Socket ours;
  {
    const std::lock_guard lock(registry.mutex);
    ours = connection.leave_to_child();
  }
  OwnDescriptors::replace(ours.fileno(), timer.fileno());
  return told;
}

std::shared_ptr<Child::Tie> Service::tie_of(std::size_t slot) noexcept {
  const std::lock_guard lock(registry.mutex);
  return children_.at(slot).tie;
}

void Service::close_given_away() noexcept {
  if (from_children->given_away.exchange(0) == 0) return;
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    if (children_.at(slot).descriptor.load() >= 0) close_if_given_away(slot);
  }
}

void Service::close_if_given_away(std::size_t slot) noexcept {
  const auto tie = tie_of(slot);
  if (!tie) return;
  const std::lock_guard lock(tie->mutex);
  if (tie->connection != nullptr) take_told(slot, *tie->connection);
}

void Service::cut_children() noexcept {
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    const auto tie = tie_of(slot);
    if (!tie) continue;
    Connection* connection = nullptr;
    {
      const std::lock_guard lock(tie->mutex);
      connection = std::exchange(tie->connection, nullptr);
      if (connection == nullptr) continue;
      const int descriptor = children_.at(slot).descriptor.load();
      // Hundreds of processes that end at once would leave this one hardly any time. If it has
      // ended, and the host ignores SIGCHLD, its number may be somebody else's.
      if (signal_child(descriptor, 0)) {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(tie->process), lowest_priority);
      }
      signal_child(descriptor, SIGKILL);
      forget_child(slot);
    }
    free_child_slot(slot);
    connection->end(Outcome::cut);
  }
}

// Not by process number: the system may give one away again before we have learned that it is free.
void Service::kill_children() noexcept {
  if (forked_away()) return;
  const int saved = errno;
  killing_.fetch_add(1);
  for (const OwnChild& child : children_) {
    if (const int descriptor = child.descriptor.load(); descriptor >= 0) {
      signal_child(descriptor, SIGKILL);
    }
  }
  killing_.fetch_sub(1);
  errno = saved;
}

bool signal_child(int descriptor, int signal) noexcept {
  return ::syscall(SYS_pidfd_send_signal, descriptor, signal, nullptr, 0) == 0;
}

}  // namespace net
