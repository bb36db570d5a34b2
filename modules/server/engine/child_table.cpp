module;

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import :child_table;
import :connection;
import :forked;

namespace net {
namespace {

constexpr int lowest_priority = 19;

}  // namespace

std::size_t ChildTable::take_slot() {
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    int expected = free;
    if (!children_.at(slot).descriptor.compare_exchange_strong(expected, taken)) continue;
    FromChildren::Slot& shared = shared_->slots.at(slot);
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

void ChildTable::note(std::size_t slot, int descriptor) noexcept {
  children_.at(slot).descriptor.store(descriptor);
}

void ChildTable::follow(std::size_t slot, std::shared_ptr<Child::Tie> tie) noexcept {
  {
    const std::lock_guard lock(registry_.mutex);
    children_.at(slot).tie = std::move(tie);
  }
  close_if_given_away(slot);  // the child may have given it away already
}

void ChildTable::forget(std::size_t slot) noexcept {
  children_.at(slot).descriptor.store(taken);
  // A signal handler must not wait for a lock, so this thread waits for the handler.
  while (killing_.load() != 0) std::this_thread::yield();
}

void ChildTable::free_slot(std::size_t slot) noexcept {
  {
    const std::lock_guard lock(registry_.mutex);
    children_.at(slot).tie.reset();
  }
  children_.at(slot).descriptor.store(free);
}

Told ChildTable::take_told(std::size_t slot, Connection& connection) noexcept {
  const Told told = Told::from(shared_->slots.at(slot).told.load());
  if (!told.given_away()) return told;
  Socket ours;
  {
    const std::lock_guard lock(registry_.mutex);
    ours = connection.leave_to_child();
  }
  OwnDescriptors::replace(ours.fileno(), timer_.fileno());
  return told;
}

std::shared_ptr<Child::Tie> ChildTable::tie_of(std::size_t slot) noexcept {
  const std::lock_guard lock(registry_.mutex);
  return children_.at(slot).tie;
}

void ChildTable::close_given_away() noexcept {
  if (shared_->given_away.exchange(0) == 0) return;
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    if (children_.at(slot).descriptor.load() >= 0) close_if_given_away(slot);
  }
}

void ChildTable::close_if_given_away(std::size_t slot) noexcept {
  const auto tie = tie_of(slot);
  if (!tie) return;
  const std::lock_guard lock(tie->mutex);
  if (tie->connection != nullptr) take_told(slot, *tie->connection);
}

void ChildTable::cut() noexcept {
  for (std::size_t slot = 0; slot < children_.size(); ++slot) {
    const auto tie = tie_of(slot);
    if (!tie) continue;
    Connection* connection = nullptr;
    {
      const std::lock_guard lock(tie->mutex);
      connection = std::exchange(tie->connection, nullptr);
      if (connection == nullptr) continue;
      const int descriptor = children_.at(slot).descriptor.load();
      // Hundreds of processes that end at once would leave hardly any CPU time to this one, so
      // their priority is lowered. If the child has ended and the host ignores SIGCHLD, its process
      // number may belong to another process. So signal 0 checks first that the child exists.
      if (signal_child(descriptor, 0)) {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(tie->process), lowest_priority);
      }
      signal_child(descriptor, SIGKILL);
      forget(slot);
    }
    free_slot(slot);
    connection->end(Outcome::cut);
  }
}

// By pidfd, not by process number: the system may reuse a number before this process has learned
// that the child has ended.
void ChildTable::kill() noexcept {
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

void ChildTable::tell(const Told& told) noexcept {
  shared_->slots.at(own_slot_).told.store(told.word());
}

void ChildTable::tell_given_away() noexcept { shared_->given_away.store(1); }

bool signal_child(int descriptor, int signal) noexcept {
  return ::syscall(SYS_pidfd_send_signal, descriptor, signal, nullptr, 0) == 0;
}

}  // namespace net
