module;

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :core;
import :forked;

// How a server stops: the end of net.server:core.

namespace net {
namespace {

using namespace std::chrono_literals;

// What is left after the deadline, out of the 100 ms that server_close promises: for handlers whose
// sockets were cut, and for the policy's threads.
constexpr auto time_to_notice = 60ms;
constexpr auto time_for_policy = 20ms;
constexpr auto time_for_free_policy = 1000ms;

}  // namespace

void ServerCore::shutdown() noexcept {
  if (!in_child()) stop_.store(true);
  // A child that serves one connection asks its parent; any other process, itself alone.
  if (forked_away() && !in_child()) return;
  page.stop.store(true);
  wakeup.signal();
}

void ServerCore::restart() noexcept {
  stop_.store(false);
  if (!forked_away()) page.stop.store(false);
}

Stats ServerCore::begin_drain() {
  const Stats before = stats();
  drain_since_.store(coarse_now());
  page.draining.store(true);
  return before;
}

void ServerCore::end_silent() noexcept {
  const CoarseTime now = coarse_now();
  const std::lock_guard lock(registry.mutex);
  registry.for_each([&](Connection& connection) {
    const CoarseTime since = connection.waits_since();
    if (since == 0) return;
    const CoarseTime quiet_since = std::max(since, drain_since_.load());
    if (now >= coarse_after(quiet_since, options.quiet_grace.count())) connection.end_input();
  });
}

DrainReport ServerCore::drain(Deadline deadline, const Stats& before) {
  events_left_ = SIZE_MAX;
  closing_ = true;
  drain_deadline_ = deadline;
  // Whoever waits is served by the child to which this process may have left the server.
  const bool left_to_child = !served_ && forked();
  if (left_to_child) {
    close_listeners();
  } else {
    accept_rest();
  }
  timer.due_by(0);
  const auto busy = [this] { return registry.size() > 0 || closer_.size() > 0 || !all_dead(); };
  while (busy() && !deadline.passed()) {
    turn(deadline);
    accept_rest();
  }
  close_listeners();

  if (registry.size() > 0) {
    cutting_ = true;
    // First those that nobody serves: no worker that the cut frees takes one up.
    sweep(coarse_now());
    cut_all();
    kill_children();
    const Deadline noticed(time_to_notice);
    while (registry.size() > 0 && !noticed.passed()) turn(noticed);
  }
  closer_.close_all();
  std::uint64_t stuck = registry.size();
  // A policy that others share goes on.
  if (policy.use_count() == 1) {
    // Without a handler that is stuck, its threads have nothing left that could take time.
    const auto time = stuck > 0 ? time_for_policy : time_for_free_policy;
    try {
      const DrainReport rest = policy->drain(std::max(deadline, Deadline(time)));
      if (stuck == 0) stuck = rest.stuck;
    } catch (...) {
      tell_policy_error({});
    }
    policy_drained_ = true;
  }
  const Stats after = stats();
  drained = after.served + after.failed + after.timed_out + after.refused - before.served -
            before.failed - before.timed_out - before.refused;
  return {.drained = drained,
          .closed_idle = after.closed_idle - before.closed_idle,
          .cut = after.cut - before.cut,
          .dropped = after.dropped + after.shed - before.dropped - before.shed,
          .stuck = stuck};
}

// Who got through to the kernel got through to us. A listener closes when its queue is empty; while
// the system has no descriptors, that takes until others have ended.
void ServerCore::accept_rest() noexcept {
  for (const auto& listener : listeners_) {
    const CoarseTime until = listener->paused() ? listener->paused_until() : 0;
    const bool exhausted = until != Listener::never && until > coarse_now();
    if (listener->dead() || exhausted) continue;
    listener->resume();
    if (active_) listener->accept(SIZE_MAX);
    if (!listener->paused()) listener->close();
  }
}

void ServerCore::wait_for_connections() {
  cutting_ = true;
  while (registry.size() > 0) {
    turn(Deadline(50ms));
    sweep(coarse_now());
  }
  // The last one's end is over when it has given the lock back.
  const std::lock_guard lock(registry.mutex);
}

void ServerCore::cut_all() noexcept {
  const std::lock_guard lock(registry.mutex);
  registry.for_each([](Connection& connection) {
    // Parked ones are swept; they are nobody's to wake.
    if (connection.state() != Connection::State::parked) connection.cut();
  });
}

// --- children ---------------------------------------------------------------------------------

std::size_t ServerCore::take_child_slot() {
  for (std::size_t slot = 0; slot < page.children.size(); ++slot) {
    int free = 0;
    if (page.children.at(slot).process.compare_exchange_strong(free, -1)) return slot;
  }
  throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                          "more children than a server can count");
}

void ServerCore::kill_children() noexcept {
  if (forked_away()) return;
  for (SharedPage::ChildSlot& slot : page.children) {
    const int process = slot.process.load();
    if (process > 0) ::kill(process, SIGKILL);
  }
}

}  // namespace net
