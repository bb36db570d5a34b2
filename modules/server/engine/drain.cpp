module;

#include <algorithm>
#include <atomic>
#include <chrono>
#include <gsl/util>
#include <mutex>
#include <optional>

module net.server;

import net.socket;
import net.handler;
import :engine;
import :forked;
import :running_mark;

// How a server stops: a part of net.server:engine.

namespace net {
namespace {

using namespace std::chrono_literals;

// Time after the deadline, within the 100 ms that server_close promises: for handlers whose sockets
// were cut, and for the policy's threads.
constexpr auto time_to_notice = 60ms;
constexpr auto time_for_children = 20ms;  // to end when they are killed
constexpr auto time_for_policy = 20ms;
// For the policy's threads if no handler is stuck: they end at once, unless a hook delays them.
constexpr auto time_for_free_policy = 1000ms;

// If this server has no descriptor to free, the last clients wait this long in the kernel's queue:
// another server may free one.
constexpr auto time_for_others = 500ms;

}  // namespace

void Engine::shutdown() noexcept {
  set_stop(true);
  // A child that serves one connection asks its parent to stop. Any other forked process stops only
  // itself.
  if (forked_away() && !in_child()) return;
  if (in_child()) children.ask_for_stop();
  wakeup.signal();
}

void Engine::restart() noexcept { set_stop(false); }

// The signal may have come from a child.
void Engine::woken() {
  wakeup.clear();
  children.close_given_away();
  if (children.take_stop()) set_stop(true);
}

Stats Engine::begin_drain() {
  const Stats before = stats();
  const CoarseTime now = coarse_now();
  reaper_.begin_drain(now);
  set_draining(now);
  return before;
}

DrainReport Engine::close(Deadline deadline) {
  if (const auto report = lifecycle.begin_closing()) return *report;
  std::optional<DrainReport> report;
  const auto end_closing = gsl::finally([&] { lifecycle.end_closing(report); });
  const Stats before = begin_drain();
  // The serving thread itself may be held by a conversation. Then no other thread ends the silent
  // connections.
  const auto wait_until_free = [&](Deadline until) {
    while (!lifecycle.wait_until_free(std::min(Deadline(10ms), until))) {
      if (until.passed()) return false;
      reaper_.end_silent(coarse_now());
    }
    return true;
  };
  Deadline cut_noticed_by;
  if (!wait_until_free(deadline)) {
    // A handler holds up the serving thread itself.
    reaper_.cut_running();
    cut_noticed_by = Deadline(time_to_notice);
    if (!wait_until_free(cut_noticed_by)) return {.stuck = registry.size()};
  }
  const RunningMark mark(*this);  // a hook that closed the server would wait for itself
  report = drain(deadline, cut_noticed_by, before);
  return *report;
}

DrainReport Engine::drain(Deadline deadline, Deadline cut_noticed_by, const Stats& before) {
  dispatcher_.begin_drain(deadline);
  // If this process may have left the server to a child, that child serves the clients that wait.
  const bool left_to_child = !served_ && forked();
  if (left_to_child) {
    acceptor_.close();
  } else {
    acceptor_.accept_rest();
  }
  timer.due_by(0);
  Deadline for_others;
  const auto busy = [&] {
    if (registry.size() > 0 || closer.size() > 0) {
      for_others = Deadline::never();
      return true;
    }
    if (acceptor_.all_dead()) return false;
    if (for_others.is_never()) for_others = Deadline(time_for_others);
    return !for_others.passed();
  };
  while (busy() && !deadline.passed()) {
    turn(std::min(deadline, for_others));
    acceptor_.accept_rest();
  }
  acceptor_.close();

  if (registry.size() > 0) {
    reaper_.drain_is_over();
    // First end the connections that no thread serves, so that no worker that the cut frees takes
    // one up.
    dispatcher_.end_all(reaper_.take_quiet(coarse_now()));
    // Requests that are overdue end first, because they would count as cut otherwise.
    if (reaper_.take_queues_overdue()) dispatcher_.expire_queue();
    reaper_.cut_running();
    // Otherwise cut requests in the queue could wait behind those of other servers that share the
    // policy.
    dispatcher_.expire_queue();
    children.cut();
    cut_noticed_by =
        std::max(std::min(cut_noticed_by, Deadline(time_to_notice)), Deadline(time_for_children));
    while (registry.size() > 0 && !cut_noticed_by.passed()) turn(cut_noticed_by);
  }
  closer.close_all();
  std::uint64_t stuck = registry.size();
  // Unless a handler is stuck, the policy's threads have nothing left that could take long.
  const auto time = stuck > 0 ? time_for_policy : time_for_free_policy;
  const std::uint64_t threads_stuck = dispatcher_.drain_policy(std::max(deadline, Deadline(time)));
  if (stuck == 0) stuck = threads_stuck;
  const Stats after = stats();
  const auto others = [](const Stats& stats) {
    return stats.served + stats.failed + stats.timed_out + stats.refused + stats.not_introduced;
  };
  const std::uint64_t drained = others(after) - others(before);
  drained_.store(drained);
  return {.drained = drained,
          .closed_idle = after.closed_idle - before.closed_idle,
          .cut = after.cut - before.cut,
          .dropped = after.dropped + after.shed - before.dropped - before.shed,
          .stuck = stuck};
}

void Engine::wait_for_connections() {
  reaper_.drain_is_over();
  while (registry.size() > 0) {
    turn(Deadline(50ms));
    dispatcher_.end_all(reaper_.take_quiet(coarse_now()));
    if (reaper_.take_queues_overdue()) dispatcher_.expire_queue();
  }
  // The end of the last connection is over when it has released the lock.
  const std::lock_guard lock(registry.mutex);
}

}  // namespace net
