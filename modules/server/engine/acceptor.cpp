module;

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :acceptor;
import :connection;

namespace net {
namespace {

constexpr std::size_t batch = 64;
constexpr std::size_t most_datagrams_at_once = 1024;
constexpr auto rush = std::chrono::milliseconds(2);  // two batches within this time are a burst
constexpr auto gathering = std::chrono::microseconds(500);
constexpr std::size_t worth_gathering = 3;  // connections after one sleep, at least
constexpr unsigned next_gathering = 16;     // batches from a useless sleep to the next sleep

}  // namespace

// --- on the serving thread --------------------------------------------------------------------

void Acceptor::accept_from(Listener& listener) noexcept {
  const std::size_t room = make_room();
  if (room > 0) {
    const std::size_t left = dispatcher_.events_left();
    const std::size_t accepted = take(listener, std::min({left, batch, room}));
    dispatcher_.spend_events(accepted);
    const bool in_a_loop = left == Dispatcher::unlimited;
    if (in_a_loop && accepted > 0 && accepted < batch && is_stream(kind_) &&
        !service_.polls_lot()) {
      let_newcomers_gather(accepted);
    }
  } else {
    // If the evicted client has just begun to send again, it stays connected and frees no slot. So
    // try again soon, to evict another one.
    const bool evicting = service_.options.overload == Overload::evict_idle;
    listener.pause(evicting ? coarse_after(coarse_now(), Reaper::next_eviction) : Listener::never);
  }
  if (listener.paused()) {
    service_.slots.paused(room == 0 ? Slots::PausedFor::slot : Slots::PausedFor::other);
  }
}

// Returns how many connections may be accepted now. May evict one to free its slot.
std::size_t Acceptor::make_room() noexcept {
  const Overload overload = service_.options.overload;
  if (service_.slots.free() == 0 && overload == Overload::evict_idle) {
    dispatcher_.end_all(reaper_.evict_for_newcomer());
  }
  if (const std::size_t most = service_.slots.free(); most > 0) return most;
  if (overload != Overload::reject) return 0;
  return service_.closer.room();
}

std::size_t Acceptor::take(Listener& listener, std::size_t most) noexcept {
  // A client that never stops sending must not keep a server from closing.
  if (!is_stream(kind_)) most = std::min(most, most_datagrams_at_once);
  for (std::size_t count = 0; count < most;) {
    // A conversation may have run in this thread for a long time meanwhile.
    if (count > 0 && !dispatcher_.goes_on_accepting()) return count;
    Connection* taken = nullptr;
    switch (const int error = listener.take(taken)) {
      case 0:
        ++count;
        if (taken != nullptr) dispatcher_.welcome(*taken);
        break;
      case EAGAIN:
        if (count > 0) return count;
        listener.found_nothing();
        listener.came_in_vain();
        return count;
      default: failed(listener, error); return count;
    }
  }
  return most;
}

void Acceptor::failed(Listener& listener, int error) noexcept {
  const Listener::Verdict verdict = Listener::verdict(error);
  if (verdict == Listener::Verdict::dead) {
    died(listener, error);
    return;
  }
  service_.counters.accept_error();
  if (verdict == Listener::Verdict::exhausted) {
    service_.hooks.accept_failed(listener.address(), error);
  }
  listener.back_off();
}

void Acceptor::died(Listener& listener, int error) noexcept {
  service_.counters.accept_error();
  last_error_ = service_.hooks.listener_died(listener.address(), error);
  listener.close();
}

void Acceptor::resume(CoarseTime now) noexcept {
  if (!service_.slots.anybody_paused()) return;
  // This comes first, because a listener in the parking lot may pause meanwhile.
  const bool room = service_.slots.begin_resuming();
  const bool may_reject =
      service_.options.overload == Overload::reject && !service_.closer.has_enough();
  for (const auto& listener : listeners_) {
    if (!listener->paused()) continue;
    if (const int error = listener->take_error(); error != 0) failed(*listener, error);
    if (listener->dead()) continue;
    const CoarseTime until = listener->paused_until();
    if (room || until <= now || (may_reject && until == Listener::never)) listener->resume();
    if (!listener->paused()) continue;
    service_.timer.due_by(listener->paused_until());
    service_.slots.paused(until == Listener::never ? Slots::PausedFor::slot
                                                   : Slots::PausedFor::other);
  }
}

// During a burst, a wake-up for each new connection costs two context switches per accept. So this
// thread sleeps for a moment: connections wait in the backlog, and their first requests arrive with
// them. If hardly any arrive, the next batches do without the sleep. So a lone client that connects
// again as soon as it was served waits only once in sixteen times.
void Acceptor::let_newcomers_gather(std::size_t accepted) noexcept {
  const auto now = std::chrono::steady_clock::now();
  const bool rushed = now - std::exchange(last_batch_, now) < rush;
  if (std::exchange(gathered_, false) && accepted < worth_gathering) {
    not_gathering_ = next_gathering;
  }
  if (not_gathering_ > 0) --not_gathering_;
  if (!rushed || not_gathering_ > 0) return;
  gathered_ = true;
  std::this_thread::sleep_for(gathering);
}

// --- in the waits of the parking lot -----------------------------------------------------------

// The serving thread accepts if clients must be rejected or evicted when no slot is free. It also
// accepts conversations, because these may occupy all workers, and then no worker would accept. And
// it accepts connections that the application checks first, because `ServerHooks` promises that
// `verify_request` runs there.
bool Acceptor::may_accept_in_lot() const noexcept {
  if (service_.polls_lot() || service_.options.overload == Overload::reject) return false;
  if (!is_stream(kind_)) return true;
  return service_.options.overload == Overload::wait && !service_.maker->conversation() &&
         dispatcher_.admits_anywhere();
}

void Acceptor::accept_in_lot(bool in_lot) noexcept {
  if (!may_accept_in_lot()) return;
  for (const auto& listener : listeners_) {
    if (!in_lot) {
      listener->leave_lot();
      continue;
    }
    if (listener->dead()) continue;
    try {
      listener->enter_lot();
    } catch (const std::exception&) {
      // The serving thread goes on accepting then, and hands the connections over.
    }
  }
}

std::size_t Acceptor::receive_from(Listener& listener, std::span<Request> ready) noexcept {
  const bool stream = is_stream(kind_);
  const std::size_t most = std::min(room_in_lot(listener), stream ? batch : ready.size());
  std::size_t made = 0;
  for (std::size_t taken_in = 0; taken_in < most; ++taken_in) {
    Connection* taken = nullptr;
    const int error = listener.take(taken);
    if (error == 0) {
      if (taken == nullptr) continue;
      if (stream) {
        enter_lot(*taken);
      } else {
        ready[made++] = RequestAccess::of(*taken);
      }
    } else if (error == EAGAIN) {
      if (taken_in > 0) break;
      listener.found_nothing();
      if (listener.came_in_vain()) leave_to_serving_thread();
      break;
    } else {
      listener.keep_error(error);
      listener.pause(Listener::never);
      leave_to_serving_thread();
      break;
    }
  }
  return made;
}

// This runs within a wait on the parking lot, and waits do not overlap, so no event of the
// connection is delivered meanwhile. So the connection can be registered before it is parked. Until
// it is parked, the thread that ends parked connections at their limits cannot reach it.
void Acceptor::enter_lot(Connection& connection) noexcept {
  if (!dispatcher_.admit(connection)) return;
  try {
    service_.lot.enter(connection);
  } catch (const std::exception&) {
    connection.end_unwatched();
    return;
  }
  connection.become_parked();
}

// Returns how many connections may be accepted in the parking lot now. If the server is full or
// stopped, returns 0 and pauses the listener.
std::size_t Acceptor::room_in_lot(Listener& listener) noexcept {
  if (!dispatcher_.goes_on_accepting()) {
    listener.pause(0);
    leave_to_serving_thread();
    return 0;
  }
  const std::size_t room = service_.slots.free();
  if (room == 0) {
    listener.pause(Listener::never);
    service_.slots.paused(Slots::PausedFor::slot);
  }
  return room;
}

void Acceptor::leave_to_serving_thread() noexcept {
  service_.slots.paused(Slots::PausedFor::other);
  service_.wakeup.signal();
}

// --- the end ----------------------------------------------------------------------------------

// A listener that pauses because the system has no free descriptor or memory stays open, and
// accepts the rest of its queue when other connections have ended.
void Acceptor::accept_rest() noexcept {
  for (const auto& listener : listeners_) {
    const CoarseTime until = listener->paused() ? listener->paused_until() : 0;
    const bool exhausted = until != Listener::never && until > coarse_now();
    if (listener->dead() || exhausted) continue;
    listener->resume();
    if (active_) take(*listener, Dispatcher::unlimited);
    if (!listener->paused()) listener->close();
  }
}

void Acceptor::close() noexcept {
  for (const auto& listener : listeners_) listener->close();
}

bool Acceptor::all_dead() const noexcept {
  return std::ranges::all_of(listeners_, [](const auto& listener) { return listener->dead(); });
}

void Acceptor::throw_if_dead() const {
  if (all_dead()) std::rethrow_exception(last_error_);
}

std::uint64_t Acceptor::datagrams_lost() const noexcept {
  std::uint64_t lost = 0;
  for (const auto& listener : listeners_) lost += listener->lost();
  return lost;
}

std::vector<Socket> Acceptor::duplicate_listeners() const {
  std::vector<Socket> sockets;
  for (const auto& listener : listeners_) {
    if (Socket socket = listener->duplicate(); socket.fileno() >= 0) {
      sockets.push_back(std::move(socket));
    }
  }
  return sockets;
}

void Acceptor::note_serving() noexcept {
  for (const auto& listener : listeners_) listener->note_serving();
}

}  // namespace net
