module;

#include <sys/epoll.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;

// How a connection is parked: a part of net.server:connection.

namespace net {

bool Connection::try_park() noexcept {
  if (ready()) return false;
  stream().input().shrink();
  const CoarseTime now = coarse_now();
  const Awaited next = awaited(now);
  if (next.what != ClientSilence::Wait::between || was_unfinished_) [[unlikely]] {
    note_unfinished(next.what);
  }
  note_parked(next, now);
  return park();
}

// Records how much memory the connection holds while it is parked, and whether it waits for buffer
// space to send.
[[gnu::noinline]] void Connection::note_unfinished(ClientSilence::Wait what) noexcept {
  note_held(stream().shrink());
  const bool for_room = what == ClientSilence::Wait::answer;
  if (for_room != in_lot.wants_output) service().lot.want_output(*this, for_room);
  was_unfinished_ = for_room || held() != 0;
}

void Connection::note_held(std::size_t bytes) noexcept {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  const auto now = static_cast<std::uint32_t>(std::min(bytes, most));
  const std::uint32_t before = held_.exchange(now, std::memory_order_relaxed);
  if (before != now) service().buffers.changed(before, now);
}

// Files the connection so that the reaper checks it when its deadline expires. If the reaper takes
// it from its bucket while it still runs, the reaper also makes this park fail, and the next
// attempt files the connection again.
[[gnu::always_inline]] void Connection::note_parked(const Awaited& awaited,
                                                    CoarseTime now) noexcept {
  parked_.limit.store(awaited.limit, std::memory_order_relaxed);
  parked_.idle.store(awaited.what == ClientSilence::Wait::between, std::memory_order_relaxed);
  parked_.since.store(awaited.since, std::memory_order_relaxed);
  if (awaited.limit < filed_under.load(std::memory_order_relaxed)) [[unlikely]] {
    const std::lock_guard lock(service().registry.mutex);
    service().registry.file(*this, awaited.limit, now);
  }
}

// Returns false if an event arrived while the connection was running.
[[gnu::always_inline]] bool Connection::park() noexcept {
  if (custody_.park()) [[likely]] {
    return true;
  }
  look_again();
  return false;
}

bool Connection::give_back() noexcept { return park(); }

// For a connection that has not been parked yet. It is filed and parked in one step under the lock,
// because no second attempt would follow.
void Connection::become_parked() noexcept {
  const CoarseTime now = coarse_now();
  const Awaited first = awaited(now);
  const std::lock_guard lock(service().registry.mutex);
  parked_.since.store(first.since, std::memory_order_relaxed);
  parked_.limit.store(first.limit, std::memory_order_relaxed);
  service().registry.file(*this, first.limit, now);
  custody_.begin_parked();
}

bool Connection::claim() noexcept {
  if (!custody_.claim()) return false;
  look_again();
  return true;
}

bool Connection::edge(std::uint32_t events) noexcept {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) {
    reader().distrust_short_receives();
  }
  if ((events & EPOLLIN) != 0) reader().note_edge();
  if (!custody_.event()) return false;
  look_again();
  return true;
}

}  // namespace net
