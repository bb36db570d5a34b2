module;

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :core;
import :forked;

// How a connection comes in: the accepting of net.server:core.

namespace net {
namespace {

constexpr std::size_t batch = 64;
constexpr auto rush = std::chrono::milliseconds(2);  // no more than this between two batches
constexpr auto gathering = std::chrono::microseconds(500);
constexpr std::size_t worth_gathering = 3;  // who came meanwhile
constexpr unsigned next_gathering = 16;     // batches, after one that was not worth it
constexpr std::int64_t next_eviction = 50;  // milliseconds, if the last one made no room

}  // namespace

void ServerCore::accept_from(Listener& listener) noexcept {
  const std::size_t room = make_room();
  if (room > 0) {
    const std::size_t accepted = listener.accept(std::min({events_left_, batch, room}));
    if (events_left_ != SIZE_MAX) {
      events_left_ -= accepted;
    } else if (accepted > 0 && accepted < batch && is_stream(kind_) && !own_lot_) {
      let_newcomers_gather(accepted);
    }
  } else {
    // Whoever was evicted, but had just begun to speak again, stays: then another must go.
    const bool evicting = options.overload == Overload::evict_idle;
    listener.pause(evicting ? coarse_after(coarse_now(), next_eviction) : Listener::never);
  }
  if (!listener.paused()) return;
  paused_.store(true);
  // Who ended before that did not know that somebody waits.
  if (room == 0 && !full()) room_made_.store(true);
}

// In a rush, a thread that wakes for each newcomer costs the others more than it does for them: two
// changes of context for one accept. Whoever comes meanwhile waits in the backlog, and brings the
// first request along. If hardly anybody came, the next batches do without: a lone client that
// comes again as soon as it was served waits for that once in sixteen times.
void ServerCore::let_newcomers_gather(std::size_t accepted) noexcept {
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

bool ServerCore::goes_on_accepting() const noexcept {
  return closing_ ? !drain_deadline_.passed() : !page.stop.load(std::memory_order_relaxed);
}

std::size_t ServerCore::room() const noexcept {
  const std::size_t size = registry.size();
  return size < max_connections_ ? max_connections_ - size : 0;
}

void ServerCore::waits_for_room() noexcept {
  paused_.store(true);
  if (full()) return;
  // Who ended before that did not know that somebody waits.
  room_made_.store(true);
  wakeup.signal();
}

void ServerCore::waits_for_serving_thread() noexcept {
  paused_.store(true);
  wakeup.signal();
}

// How many may come in now.
std::size_t ServerCore::make_room() noexcept {
  if (full() && options.overload == Overload::evict_idle) evict_for_newcomer();
  if (const std::size_t most = room(); most > 0) return most;
  if (options.overload != Overload::reject) return 0;
  const std::size_t rejected = closer_.size();
  return rejected < most_rejected_ ? most_rejected_ - rejected : 0;
}

bool ServerCore::evict_silent(bool for_newcomer) noexcept {
  const CoarseTime now = coarse_now();
  std::size_t wanted = for_newcomer ? 1 : 0;
  std::size_t leaving = 0;
  {
    const std::lock_guard lock(registry.mutex);
    registry.for_each([&](const Connection& connection) {
      if (!for_newcomer && connection.wants_place()) ++wanted;
      if (connection.is_leaving(now)) ++leaving;
    });
  }
  if (!for_newcomer) {
    places_wanted_ = wanted > 0;
    if (places_wanted_) timer.due_by(coarse_after(now, next_eviction));
  }
  for (; leaving < wanted; ++leaving) {
    if (!evict_longest(now, for_newcomer)) return false;
  }
  return true;
}

bool ServerCore::evict_longest(CoarseTime now, bool parked_too) noexcept {
  Connection* longest = nullptr;
  bool parked = false;
  {
    const std::lock_guard lock(registry.mutex);
    CoarseTime since = Listener::never;
    registry.for_each([&](Connection& connection) {
      const Connection::State state = connection.state();
      if (state == Connection::State::parked && !parked_too) return;
      const CoarseTime silent = connection.silent_since(state);
      if (silent == 0 || silent >= since) return;
      longest = &connection;
      since = silent;
      parked = state == Connection::State::parked;
    });
    if (longest == nullptr) return false;
    if (parked && !longest->claim()) return false;
    longest->evict(now);
    if (!parked) longest->end_input();
  }
  if (parked) {
    longest->expire(Outcome::evicted);
    serve_parked(*longest);
  }
  return true;
}

std::string ServerCore::overload_answer(const Address& client_address) noexcept {
  try {
    return hooks().on_overload(client_address);
  } catch (...) {
    tell_hook_error(Phase::on_overload, client_address);
    return {};
  }
}

Connection* ServerCore::make_connection(int descriptor, std::span<const std::byte> peer,
                                        const Listener& listener) noexcept {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  std::unique_ptr<Connection> made;
  try {
    Socket socket = Socket::adopt_unchecked(descriptor);
    OwnDescriptors::add(descriptor);
    made = std::make_unique<Connection>(*this, std::move(socket), Address::from_native(peer),
                                        listener.address());
  } catch (const std::exception&) {
    OwnDescriptors::remove(descriptor);
    count(Outcome::dropped);  // no memory for it; its socket has closed it
    return nullptr;
  }
  const std::lock_guard lock(registry.mutex);
  registry.add(*made);
  return made.release();
}

void ServerCore::welcome(int descriptor, std::span<const std::byte> peer,
                         const Listener& listener) noexcept {
  Connection* const connection = make_connection(descriptor, peer, listener);
  if (connection != nullptr) welcome(*connection);
}

// No event comes while this wait lasts, so it can be registered while it is still out of reach of
// those who end parked connections by a limit.
void ServerCore::welcome_in_lot(int descriptor, std::span<const std::byte> peer,
                                const Listener& listener) noexcept {
  Connection* const connection = make_connection(descriptor, peer, listener);
  if (connection == nullptr || !connection->verify()) return;
  try {
    lot.enter(*connection);
  } catch (const std::exception&) {
    connection->end(Outcome::dropped);
    return;
  }
  connection->become_parked();
}

Connection* ServerCore::make_datagram(const std::shared_ptr<DatagramSocket>& socket,
                                      const DatagramSocket::Arrival& arrival) noexcept {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  try {
    auto made = std::make_unique<Connection>(*this, socket, arrival);
    const std::lock_guard lock(registry.mutex);
    registry.add(*made);
    return made.release();
  } catch (const std::exception&) {
    count(Outcome::dropped);  // no memory for it
    return nullptr;
  }
}

Outcome ServerCore::verify(Connection& connection) noexcept {
  if (hooks_ == nullptr) return Outcome::none;
  try {
    const bool welcome = hooks_->verify_request(connection.socket(), connection.client_address());
    return welcome ? Outcome::none : Outcome::refused;
  } catch (...) {
    tell_hook_error(Phase::verify_request, connection.client_address());
    return Outcome::failed;
  }
}

void ServerCore::welcome(Connection& connection) noexcept {
  if (options.overload == Overload::reject && registry.size() > max_connections_) {
    connection.reject();
    return;
  }
  if (!connection.verify()) return;
  if (closing_ && !start_policy()) {
    connection.end(Outcome::dropped);
    return;
  }
  if (connection.datagram() != nullptr) {
    hand_over(connection);
    return;
  }
  if (maker->conversation()) {
    // Nobody could cut one that holds the thread that drains.
    connection.socket().set_deadline(drain_deadline_);
    hand_over(connection);
    return;
  }
  // Once it is registered, it may be anybody's, or gone. Before, it is this thread's, which is the
  // one that ends parked connections by a limit.
  bool entered = true;
  connection.become_parked();
  try {
    lot.enter(connection);
  } catch (const std::exception&) {
    entered = !connection.claim();
  }
  if (!entered) connection.end(Outcome::dropped);
}

void ServerCore::accept_failed(const Listener& listener, int error) noexcept {
  accept_errors_.fetch_add(1, std::memory_order_relaxed);
  if (Listener::verdict(error) != Listener::Verdict::exhausted) return;
  try {
    hooks().report(
        {Event::Kind::accept_error, "cannot accept on " + listener.address().to_string() +
                                        " for now: " + std::system_category().message(error)});
  } catch (...) {
    page.counters.hook_errors.fetch_add(1, std::memory_order_relaxed);
  }
}

void ServerCore::listener_died(Listener& listener, int error) noexcept {
  accept_errors_.fetch_add(1, std::memory_order_relaxed);
  try {
    last_listener_error_ = std::make_exception_ptr(std::system_error(
        error, std::system_category(), "accept on " + listener.address().to_string()));
    hooks().handle_listener_error(listener.address(), last_listener_error_);
  } catch (...) {
    tell_hook_error(Phase::handle_listener_error, listener.address());
  }
  listener.close();
}

void ServerCore::resume_listeners(CoarseTime now) noexcept {
  if (!paused_.load(std::memory_order_relaxed)) return;
  // First, as a listener in the lot may pause meanwhile.
  paused_.store(false);
  const bool room = room_made_.exchange(false);
  const bool may_reject = options.overload == Overload::reject && closer_.size() < most_rejected_;
  bool paused = false;
  bool waits_for_room = false;
  for (const auto& listener : listeners_) {
    if (!listener->paused()) continue;
    listener->look_into_error();
    if (listener->dead()) continue;
    const CoarseTime until = listener->paused_until();
    if (room || until <= now || (may_reject && until == Listener::never)) {
      listener->resume();
    }
    if (!listener->paused()) continue;
    paused = true;
    waits_for_room = waits_for_room || until == Listener::never;
    timer.due_by(listener->paused_until());
  }
  if (paused) paused_.store(true);
  // Who ended meanwhile did not know that somebody waits.
  if (waits_for_room && !full()) {
    room_made_.store(true);
    wakeup.signal();
  }
}

}  // namespace net
