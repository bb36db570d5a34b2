module;

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>
#include <utility>

module net.server;

import :connection;
import :poller;
import :reaper;
import :registry;

namespace net {
namespace {

void add_to(Connection*& list, Connection* taken) noexcept {
  if (taken != nullptr) taken->next_retired = std::exchange(list, taken);
}

CoarseTime parked_in_vain_since(const ParkTimes& times) noexcept {
  const CoarseTime since = times.since.load();
  return times.idle.load() ? since : ClientSilence::if_slow(since);
}

}  // namespace

// --- deadlines --------------------------------------------------------------------------------

Connection* Reaper::take_expired(CoarseTime now) noexcept {
  constexpr int most = 256;
  Connection* expired = nullptr;
  const std::lock_guard lock(registry_.mutex);
  for (int count = 0; count < most; ++count) {
    Registered* const due = registry_.take_due(now);
    if (due == nullptr) break;
    add_to(expired, look_at(connection_of(*due), now));
  }
  registry_.set_timer();
  return expired;
}

// Checks a connection that is due: files it again if its deadline has not expired. Returns it if
// the caller owns it now, else null. Called with the registry's lock held.
Connection* Reaper::look_at(Connection& connection, CoarseTime now) noexcept {
  if (QueuePlace& place = connection.queue_place(); place.waits()) {
    // Only its policy takes it out of the queue.
    if (now < place.limit()) {
      registry_.file(connection, place.limit(), now);
    } else {
      place.make_overdue();  // even if the policy reads a clock that lags a little
      queues_overdue_ = true;
    }
    return nullptr;
  }
  // A running connection is not filed here. The edge makes its next park fail, and the attempt
  // after that files it.
  if (!connection.edge(0)) return nullptr;
  const CoarseTime limit = connection.park_times().limit.load();
  if (now < limit) {
    registry_.file(connection, limit, now);
    return connection.give_back() ? nullptr : &connection;
  }
  connection.expire(connection.park_times().idle.load() ? Outcome::closed_idle
                                                        : Outcome::timed_out);
  return &connection;
}

// --- draining ---------------------------------------------------------------------------------

void Reaper::end_silent(CoarseTime now) noexcept {
  const std::lock_guard lock(registry_.mutex);
  registry_.for_each([&](Registered& registered) {
    Connection& connection = connection_of(registered);
    if (connection.state() == Connection::State::parked) return;
    const CoarseTime since = connection.silence().idle_since(connection.conversation());
    if (since == 0) return;
    const CoarseTime quiet_since = std::max(since, drain_since_.load());
    if (now >= coarse_after(quiet_since, options_.quiet_grace.count()))
      connection.silence().end_input();
  });
}

Connection* Reaper::take_quiet(CoarseTime now) noexcept {
  Connection* quiet = nullptr;
  const std::lock_guard lock(registry_.mutex);
  registry_.for_each([&](Registered& registered) {
    add_to(quiet, take_if_quiet(connection_of(registered), now));
  });
  return quiet;
}

Connection* Reaper::take_if_quiet(Connection& connection, CoarseTime now) noexcept {
  if (drain_is_over_ && connection.queue_place().waits()) {
    connection.queue_place().make_overdue();
    queues_overdue_ = true;
  }
  if (connection.state() != Connection::State::parked) return nullptr;
  const ParkTimes& times = connection.park_times();
  const bool quiet =
      times.idle.load() && now >= coarse_after(times.since.load(), options_.quiet_grace.count());
  if ((!drain_is_over_ && !quiet) || !connection.claim()) return nullptr;
  connection.expire(drain_is_over_ ? Outcome::cut : Outcome::closed_idle);
  return &connection;
}

void Reaper::cut_running() noexcept {
  const std::lock_guard lock(registry_.mutex);
  registry_.for_each([](Registered& registered) {
    Connection& connection = connection_of(registered);
    // `take_quiet` takes the parked ones. No thread waits in them that a cut could wake up.
    if (connection.state() != Connection::State::parked) connection.cut();
  });
}

// --- eviction ---------------------------------------------------------------------------------

std::size_t Reaper::leaving(CoarseTime now) noexcept {
  std::size_t count = 0;
  registry_.for_each([&](Registered& registered) {
    if (connection_of(registered).silence().is_leaving(now)) ++count;
  });
  return count;
}

Connection* Reaper::evict_for_newcomer() noexcept {
  const CoarseTime now = coarse_now();
  Connection* taken = nullptr;
  const std::lock_guard lock(registry_.mutex);
  if (leaving(now) > 0) return nullptr;
  const auto [longest, parked, since] = longest_silent(true);
  if (longest == nullptr || (parked && !longest->claim())) return nullptr;
  // A worker may have served it, and parked it again, since it was found.
  if (parked && parked_in_vain_since(longest->park_times()) != since) {
    return longest->give_back() ? nullptr : longest;
  }
  longest->silence().evict(now);
  if (parked) {
    longest->expire(Outcome::evicted);
    add_to(taken, longest);
  } else {
    longest->silence().end_input();
  }
  return taken;
}

// Takes two passes over all connections. The first finds the largest amount that one holds, the
// second takes connections that hold more than half of that amount.
Connection* Reaper::take_greediest(std::size_t to_free) noexcept {
  Connection* greedy = nullptr;
  const std::lock_guard lock(registry_.mutex);
  std::size_t most = 1;
  registry_.for_each([&](Registered& registered) {
    const Connection& connection = connection_of(registered);
    if (connection.state() == Connection::State::parked) most = std::max(most, connection.held());
  });
  registry_.for_each([&](Registered& registered) {
    Connection& connection = connection_of(registered);
    const std::size_t held = connection.held();
    if (to_free == 0 || held <= most / 2 || !connection.claim()) return;
    to_free -= std::min(to_free, held);
    // Count the memory as freed at once: the connection may end only when a thread is free.
    connection.note_held(0);
    connection.expire(Outcome::greedy);
    add_to(greedy, &connection);
  });
  return greedy;
}

bool Reaper::evict_for_waiting() noexcept {
  const CoarseTime now = coarse_now();
  const std::lock_guard lock(registry_.mutex);
  std::size_t wanted = 0;
  registry_.for_each([&](Registered& registered) {
    if (connection_of(registered).queue_place().wants_place()) ++wanted;
  });
  places_wanted_ = wanted > 0;
  if (places_wanted_) timer_.due_by(coarse_after(now, next_eviction));
  for (std::size_t left = leaving(now); left < wanted; ++left) {
    Connection* const longest = longest_silent(false).connection;
    if (longest == nullptr) return false;
    longest->silence().evict(now);
    longest->silence().end_input();
  }
  return true;
}

// Called with the registry's lock held.
Reaper::Silent Reaper::longest_silent(bool parked_too) noexcept {
  Silent longest;
  registry_.for_each([&](Registered& registered) {
    Connection& connection = connection_of(registered);
    const bool parked = connection.state() == Connection::State::parked;
    if (parked && !parked_too) return;
    const CoarseTime silent = parked
                                  ? parked_in_vain_since(connection.park_times())
                                  : connection.silence().evictable_since(connection.conversation());
    if (silent == 0 || silent >= longest.since) return;
    longest = {.connection = &connection, .parked = parked, .since = silent};
  });
  return longest;
}

}  // namespace net
