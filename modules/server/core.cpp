module;

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <gsl/util>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :core;
import :forked;

namespace net {
namespace {

std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

// Descriptors for everything but connections.
std::size_t reserve() { return std::max<std::size_t>(16, descriptor_limit() / 16); }

constexpr std::size_t most_datagrams = 1024;
constexpr std::int64_t drain_interval = 10;  // milliseconds, between two looks at who is silent

std::size_t most_connections(ServerKind kind, std::size_t wanted, std::size_t descriptors_each) {
  if (wanted != 0) return wanted;
  if (!is_stream(kind)) return most_datagrams;
  if (descriptor_limit() <= reserve()) return 1;
  return std::max<std::size_t>(1, (descriptor_limit() - reserve()) / descriptors_each);
}

SharedPage& make_shared_page() {
  void* const memory = ::mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw_system_error(errno, "mmap");
  return *new (memory) SharedPage;
}

}  // namespace

ServerCore::CallingWatch::CallingWatch(ServerCore& core, Function function) noexcept
    : core_(core), function_(function) {}

void ServerCore::CallingWatch::ready(std::uint32_t) { (core_.*function_)(); }

ServerCore::ServerCore(AnyServerParts& parts)
    : options(parts.options),
      maker(std::move(parts.maker)),
      policy(std::move(parts.policy)),
      page(make_shared_page()),
      own_lot_(policy->context().parking_lot() == nullptr ? std::make_unique<ParkingLot>()
                                                          : nullptr),
      lot(own_lot_ ? *own_lot_ : *policy->context().parking_lot()),
      hooks_(parts.hooks),
      verifies_(parts.verifies),
      kind_(parts.kind),
      max_connections_(
          most_connections(kind_, options.max_connections, policy->context().descriptors_each())),
      most_rejected_(std::min<std::size_t>(64, reserve() / 2)),
      addresses_(parts.addresses.begin(), parts.addresses.end()),
      adopted_(std::move(parts.adopted)),
      closer_(poller, timer, options.linger.count(), options.linger_bytes),
      wake_watch_(*this, &ServerCore::woken),
      timer_watch_(*this, &ServerCore::time_has_come),
      policy_watch_(*this, &ServerCore::dispatch_policy),
      lot_watch_(*this, &ServerCore::dispatch_parking_lot) {
  notice_forks();
  poller.add(wakeup.fileno(), wake_watch_);
  poller.add(timer.fileno(), timer_watch_);
  poller.add(policy->context().fileno(), policy_watch_);
  if (own_lot_) poller.add(own_lot_->fileno(), lot_watch_);
  Servers::add(*this);
}

ServerCore::~ServerCore() {
  Servers::remove(*this);
  ::munmap(&page, sizeof page);
}

// --- the loop ---------------------------------------------------------------------------------

void ServerCore::serve(std::chrono::milliseconds poll_interval) {
  events_left_ = SIZE_MAX;
  accept_in_lot(true);
  const auto back = gsl::finally([this] { accept_in_lot(false); });
  while (!page.stop.load()) {
    if (all_dead()) std::rethrow_exception(last_listener_error_);
    // Without hooks there is nothing to do in time.
    turn(hooks_ != nullptr ? Deadline(poll_interval) : Deadline::never());
    service_actions();
  }
  stop_.store(true);  // if a child has asked for it, this process learns of it here
}

void ServerCore::begin_serving() {
  policy->start_here();
  if (std::exchange(served_, true)) return;
  for (const auto& listener : listeners_) listener->note_serving();
}

bool ServerCore::start_policy() noexcept {
  try {
    policy->start_here();
    return true;
  } catch (...) {
    tell_policy_error({});
    return false;
  }
}

// Of the events, one at a time is taken from the poll, and some are no requests: limits, wake-ups.
// Those do not end the wait. Nor does the deadline, as long as the poll finds anything: behind them
// a request may be ready.
ServerCore::Served ServerCore::serve_one(Deadline deadline) {
  constexpr unsigned most_late = 64;
  events_left_ = 1;
  for (unsigned late = 0;;) {
    if (all_dead()) std::rethrow_exception(last_listener_error_);
    const bool stopped = page.stop.load();
    const bool found = turn(stopped ? Deadline::Clock::time_point::min() : deadline);
    if (events_left_ == 0) return Served::event;
    if (found && late < most_late) {
      if (stopped || deadline.passed()) ++late;
    } else if (stopped) {
      return Served::stopped;
    } else if (deadline.passed()) {
      return Served::nothing;
    }
  }
}

bool ServerCore::turn(Deadline until) {
  const bool found = poller.dispatch(until, std::min<std::size_t>(events_left_, 64)) > 0;
  if (const CoarseTime now = std::exchange(due_at_, 0); now != 0) {
    do_what_is_due(now);
  } else if (paused_.load(std::memory_order_relaxed)) {
    resume_listeners(coarse_now());
  }
  return found;
}

void ServerCore::time_has_come() { due_at_ = timer.clear(); }

// All that the timer was set for, and sets it for what is due next.
void ServerCore::do_what_is_due(CoarseTime now) noexcept {
  closer_.sweep(now);
  resume_listeners(now);
  expire_due(now);
  if (places_wanted_) evict_for_waiting();
  if (!page.draining.load(std::memory_order_relaxed)) return;
  closer_.hurry(now, options.quiet_grace.count());
  end_silent();
  sweep(now);
  timer.due_by(coarse_after(now, drain_interval));
}

void ServerCore::woken() { wakeup.clear(); }

void ServerCore::dispatch_policy() {
  try {
    policy->context().dispatch();
  } catch (...) {
    tell_policy_error({});
  }
}

void ServerCore::dispatch_parking_lot() {
  std::array<Request, 64> ready;
  const auto room = std::span(ready).first(std::min(ready.size(), events_left_));
  const std::size_t count = lot.wait(room, Deadline::Clock::time_point::min());
  if (events_left_ != SIZE_MAX) events_left_ -= count;
  for (Request& request : room.first(count)) serve_parked(*request.release());
}

void ServerCore::serve_parked(Connection& connection) noexcept {
  switch (connection.prepare()) {
    case Connection::Prepared::handler: hand_over(connection); break;
    case Connection::Prepared::later: Request(&connection).park(); break;
    case Connection::Prepared::gone: break;
  }
}

void ServerCore::hand_over(Connection& connection) noexcept {
  if (policy_drained_) {
    // A straggler that was stuck: only its end is left, and no policy to run it.
    Request request(&connection);
    while (request && request.step() == Next::keep) {
    }
    return;
  }
  const Address peer = connection.client_address();
  // Nobody else would end the input of one that holds the thread that drains.
  if (closing_ && connection.datagram() == nullptr) {
    connection.end_input_after(options.quiet_grace);
  }
  if (connection.conversation() || (connection.datagram() != nullptr && own_lot_)) {
    connection.enter_queue();
  }
  try {
    policy->process(Request(&connection));
  } catch (...) {
    tell_policy_error(peer);
  }
}

// --- limits -----------------------------------------------------------------------------------

// Ends the connections whose limits have passed. If there are many, it lets the serving thread poll
// in between.
void ServerCore::expire_due(CoarseTime now) noexcept {
  constexpr int most = 256;
  Connection* expired = nullptr;
  {
    const std::lock_guard lock(registry.mutex);
    for (int count = 0; count < most; ++count) {
      Connection* const connection = registry.take_due(now);
      if (connection == nullptr) break;
      if (Connection* const taken = look_at(*connection, now)) {
        taken->next_retired = std::exchange(expired, taken);
      }
    }
    registry.set_timer();
  }
  end_expired(expired);
}

// Files a connection again if its limit has not passed; returns it if it is ours now. Under the
// lock of the registry.
Connection* ServerCore::look_at(Connection& connection, CoarseTime now) noexcept {
  if (connection.state() == Connection::State::waiting) {
    if (now < connection.park_limit()) {
      registry.file(connection, connection.park_limit(), now);
      return nullptr;
    }
    if (connection.claim_waiting()) return &connection;
  }
  // One that runs is not filed: the edge makes it file itself when it parks.
  if (!connection.edge(0)) return nullptr;
  if (now < connection.park_limit()) {
    registry.file(connection, connection.park_limit(), now);
    return connection.give_back() ? nullptr : &connection;
  }
  connection.expire(connection.parked_idle() ? Outcome::closed_idle : Outcome::timed_out);
  return &connection;
}

// Ends those that are silent for longer than a drain waits, and, when the drain's time is over, all
// that nobody runs.
void ServerCore::sweep(CoarseTime now) noexcept {
  Connection* swept = nullptr;
  {
    const std::lock_guard lock(registry.mutex);
    registry.for_each([&](Connection& connection) {
      if (Connection* const taken = sweep_one(connection, now)) {
        taken->next_retired = std::exchange(swept, taken);
      }
    });
  }
  end_expired(swept);
}

Connection* ServerCore::sweep_one(Connection& connection, CoarseTime now) noexcept {
  const Connection::State state = connection.state();
  if (state == Connection::State::waiting) {
    return cutting_ && connection.claim_waiting() ? &connection : nullptr;
  }
  if (state != Connection::State::parked) return nullptr;
  const bool quiet = connection.parked_idle() &&
                     now >= coarse_after(connection.parked_since(), options.quiet_grace.count());
  if ((!cutting_ && !quiet) || !connection.claim()) return nullptr;
  connection.expire(cutting_ ? Outcome::cut : Outcome::closed_idle);
  return &connection;
}

// Outside of the lock: handlers and hooks may run here, and ends need it.
void ServerCore::end_expired(Connection* expired) noexcept {
  while (expired != nullptr) {
    Connection& connection = *std::exchange(expired, expired->next_retired);
    if (connection.state() == Connection::State::shedding) {
      connection.shed();
    } else {
      serve_parked(connection);
    }
  }
}

// --- hooks ------------------------------------------------------------------------------------

void ServerCore::service_actions() noexcept {
  if (hooks_ == nullptr) return;
  try {
    hooks_->service_actions();
  } catch (...) {
    tell_hook_error(Phase::service_actions, {});
  }
}

void ServerCore::call_handle_timeout() noexcept {
  try {
    hooks().handle_timeout();
  } catch (...) {
    tell_hook_error(Phase::handle_timeout, {});
  }
}

void ServerCore::tell_hook_error(Phase phase, const Address& client_address) noexcept {
  page.counters.hook_errors.fetch_add(1, std::memory_order_relaxed);
  tell({phase, std::current_exception(), client_address});
}

void ServerCore::tell_policy_error(const Address& client_address) noexcept {
  policy_errors_.fetch_add(1, std::memory_order_relaxed);
  tell({Phase::process, std::current_exception(), client_address});
}

void ServerCore::tell(const RequestError& error) noexcept {
  try {
    hooks().handle_error(error);
  } catch (...) {
    page.counters.hook_errors.fetch_add(1, std::memory_order_relaxed);
  }
}

// --- counting ---------------------------------------------------------------------------------

void ServerCore::count(Outcome outcome) noexcept {
  outcomes_.at(static_cast<std::size_t>(outcome)).fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t ServerCore::ended_as(Outcome outcome) const noexcept {
  return outcomes_.at(static_cast<std::size_t>(outcome)).load(std::memory_order_relaxed);
}

Stats ServerCore::stats() {
  Stats stats;
  {
    const std::lock_guard lock(registry.mutex);
    registry.for_each([&](const Connection& connection) {
      const Connection::State state = connection.state();
      ++(state == Connection::State::parked    ? stats.parked
         : state == Connection::State::waiting ? stats.waiting
                                               : stats.active);
    });
  }
  stats.lingering = closer_.size();
  stats.served = ended_as(Outcome::served);
  stats.closed_idle = ended_as(Outcome::closed_idle);
  stats.shed_waiting = ended_as(Outcome::shed);
  stats.shed_rejected = ended_as(Outcome::rejected);
  stats.shed_evicted = ended_as(Outcome::evicted);
  stats.shed = stats.shed_waiting + stats.shed_rejected + stats.shed_evicted;
  stats.replies = page.datagrams.replies.load(std::memory_order_relaxed);
  stats.replies_dropped = page.datagrams.replies_dropped.load(std::memory_order_relaxed);
  stats.datagrams_lost = datagrams_lost();
  stats.drained = drained.load(std::memory_order_relaxed);
  stats.timed_out = ended_as(Outcome::timed_out);
  stats.failed = ended_as(Outcome::failed);
  stats.cut = ended_as(Outcome::cut);
  stats.dropped = ended_as(Outcome::dropped);
  stats.refused = ended_as(Outcome::refused);
  stats.accepted = accepted_.load(std::memory_order_relaxed);
  stats.requests = page.counters.requests.load(std::memory_order_relaxed);
  stats.handler_errors = page.counters.handler_errors.load(std::memory_order_relaxed);
  stats.hook_errors = page.counters.hook_errors.load(std::memory_order_relaxed);
  stats.peer_gone = page.counters.peer_gone.load(std::memory_order_relaxed);
  stats.time_outs = page.counters.time_outs.load(std::memory_order_relaxed);
  stats.accept_errors = accept_errors_.load(std::memory_order_relaxed);
  stats.policy_errors = policy_errors_.load(std::memory_order_relaxed);
  return stats;
}

void ServerCore::unlink(Connection& connection) noexcept {
  const std::lock_guard lock(registry.mutex);
  registry.unlink(connection);
}

void ServerCore::gone() noexcept {
  registry.done([this](std::size_t left) {
    const bool awaited = left == 0 && page.draining.load(std::memory_order_relaxed);
    const bool paused = paused_.load();
    if (paused) room_made_.store(true, std::memory_order_relaxed);
    if (awaited || paused) wakeup.signal();
  });
}

}  // namespace net
