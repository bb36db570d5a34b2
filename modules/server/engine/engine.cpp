module;

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <gsl/util>
#include <memory>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :engine;
import :fork_scope;
import :forked;

namespace net {
namespace {

constexpr std::int64_t drain_interval = 10;  // milliseconds, between two checks for silent clients

}  // namespace

Engine::CallingWatch::CallingWatch(Engine& engine, Function function) noexcept
    : engine_(engine), function_(function) {}

void Engine::CallingWatch::ready(std::uint32_t) { (engine_.*function_)(); }

Engine::Engine(AnyServerParts& parts)
    : Service(parts),
      dispatcher_(*this, std::move(parts.policy)),
      acceptor_(*this, dispatcher_, reaper_, parts),
      wake_watch_(*this, &Engine::woken),
      timer_watch_(*this, &Engine::time_has_come),
      policy_watch_(*this, &Engine::serve_policy),
      lot_watch_(*this, &Engine::serve_from_lot) {
  notice_forks();
  poller.add(wakeup.fileno(), wake_watch_);
  poller.add(timer.fileno(), timer_watch_);
  poller.add(dispatcher_.policy().context().fileno(), policy_watch_);
  if (polls_lot()) poller.add(lot.fileno(), lot_watch_);
  ForkScope::add(*this);
}

Engine::~Engine() { ForkScope::remove(*this); }

void Engine::activate() {
  acceptor_.activate();
  lifecycle.activate();
}

// --- the loop ---------------------------------------------------------------------------------

void Engine::serve(std::chrono::milliseconds poll_interval) {
  dispatcher_.set_events_left(Dispatcher::unlimited);
  acceptor_.accept_in_lot(true);
  const auto back = gsl::finally([this] { acceptor_.accept_in_lot(false); });
  while (!stop_asked()) {
    acceptor_.throw_if_dead();
    // Without hooks, nothing has to be called at intervals.
    turn(hooks.given() != nullptr ? Deadline(poll_interval) : Deadline::never());
    hooks.service_actions();
  }
}

// Each turn takes one event from the poll. Timers and wake-ups are events but not requests, so they
// do not end the wait. The deadline does not end it either while the poll still finds events (at
// most 64), since the event of a request may come after them.
Engine::Served Engine::serve_one(Deadline deadline) {
  constexpr unsigned most_late = 64;
  dispatcher_.set_events_left(1);
  for (unsigned late = 0;;) {
    acceptor_.throw_if_dead();
    const bool stopped = stop_asked();
    const bool found = turn(stopped ? Deadline::Clock::time_point::min() : deadline);
    if (dispatcher_.events_left() == 0) return Served::event;
    if (found && late < most_late) {
      if (stopped || deadline.passed()) ++late;
    } else if (stopped) {
      return Served::stopped;
    } else if (deadline.passed()) {
      return Served::nothing;
    }
  }
}

bool Engine::turn(Deadline until) {
  const bool found =
      poller.dispatch(until, std::min<std::size_t>(dispatcher_.events_left(), 64)) > 0;
  if (const CoarseTime now = std::exchange(due_at_, 0); now != 0) {
    do_what_is_due(now);
  } else if (slots.anybody_paused()) {
    acceptor_.resume(coarse_now());
  }
  if (buffers.to_free() > 0) {
    dispatcher_.end_all(reaper_.take_greediest(buffers.to_free()));
    // Those that hold much may be about to be parked.
    if (buffers.to_free() > 0) timer.due_by(coarse_after(coarse_now(), 50));
  }
  buffers.give_back();
  return found;
}

// Does everything that the timer was set for, and sets it for the next time.
void Engine::do_what_is_due(CoarseTime now) noexcept {
  closer.sweep(now);
  acceptor_.resume(now);
  dispatcher_.end_unknown(now);
  dispatcher_.end_all(reaper_.take_expired(now));
  if (reaper_.take_queues_overdue()) dispatcher_.expire_queue();
  if (reaper_.places_wanted()) reaper_.evict_for_waiting();
  if (!draining()) return;
  closer.hurry(now, options.quiet_grace.count());
  reaper_.end_silent(now);
  dispatcher_.end_all(reaper_.take_quiet(now));
  timer.due_by(coarse_after(now, drain_interval));
}

void Engine::begin_serving() {
  dispatcher_.start_policy();
  if (!std::exchange(served_, true)) acceptor_.note_serving();
}

// --- counting ---------------------------------------------------------------------------------

Stats Engine::stats() {
  Stats stats;
  {
    const std::lock_guard lock(registry.mutex);
    registry.for_each([&](Registered& registered) {
      const Connection& connection = connection_of(registered);
      const Connection::State state = connection.state();
      ++(state == Connection::State::parked ? stats.parked
         : connection.queue_place().waits() ? stats.waiting
                                            : stats.active);
    });
  }
  stats.lingering = closer.size();
  stats.datagrams_lost = acceptor_.datagrams_lost();
  stats.drained = drained_.load(std::memory_order_relaxed);
  counters.read_into(stats);
  return stats;
}

Load Engine::load() {
  return {.connections = registry.size(),
          .max_connections = slots.most(),
          .buffered = buffers.held(),
          .max_buffered = buffers.most(),
          .policy = dispatcher_.policy().load()};
}

// --- in another process -----------------------------------------------------------------------

std::unique_ptr<Engine> Engine::make_heir() {
  OwnPolicyContext& context = dispatcher_.policy().context();
  if (!context.ours()) context.renew();
  AnyServerParts parts;
  parts.addresses = acceptor_.addresses();
  parts.options = options;
  parts.maker = maker;
  parts.policy = dispatcher_.shared_policy();
  parts.hooks = hooks.given();
  parts.called = hooks.called();
  parts.kind = acceptor_.kind();
  auto heir = std::make_unique<Engine>(parts);
  heir->take_over(*this);
  return heir;
}

void Engine::take_over(Engine& before) {
  before.lifecycle.close_here();  // even if this throws: `before` may have lost its listeners
  set_stop(before.stop_asked());
  poller.take_number_of(before.poller);
  acceptor_.take_over(before.acceptor_);
  if (acceptor_.active()) lifecycle.activate();
}

bool Engine::is_lost() const noexcept {
  return lifecycle.closing_or_closed() || OwnDescriptors::closed_here(made_in());
}

void Engine::leave() noexcept {
  lifecycle.close_here();
  ForkScope::remove(*this);
  if (OwnDescriptors::closed_here(made_in())) return;
  acceptor_.close_in_child();
  registry.for_each([](Registered& left) { connection_of(left).close_in_child(); });
  close_polls();
  dispatcher_.leave_policy();
}

}  // namespace net
