module;

#include <sys/epoll.h>
#include <sys/ioctl.h>

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
  if (ready_) return false;
  stream().input().shrink();
  const CoarseTime now = coarse_now();
  if (is_owed() || reader_.request_since() != 0 || was_unfinished_) [[unlikely]] {
    return park_unfinished(now);
  }
  note_parked(coarse_after(now, limits().idle.count()), now, now, true);
  return park();
}

[[gnu::noinline]] bool Connection::park_unfinished(CoarseTime now) noexcept {
  note_held(stream().shrink());
  const CoarseTime begun = reader_.request_since();
  if (is_owed()) {
    const CoarseTime limit = limit_of_answer(now);
    note_parked(limit, now, progress_.behind_since(), false);
  } else if (begun != 0) {
    note_parked(coarse_after(begun, limits().request.count()), now, begun, false);
  } else {
    note_parked(coarse_after(now, limits().idle.count()), now, now, true);
  }
  if (is_owed() != wants_output) service_->lot.want_output(*this, is_owed());
  was_unfinished_ = wants_output || held() != 0;
  return park();
}

void Connection::note_held(std::size_t bytes) noexcept {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  const auto now = static_cast<std::uint32_t>(std::min(bytes, most));
  const std::uint32_t before = held_.exchange(now, std::memory_order_relaxed);
  if (before != now) service_->buffers.changed(before, now);
}

// The registry has to look at this connection before the limit passes. If it takes a running
// connection out meanwhile, it makes the parking fail: the next attempt files it.
[[gnu::always_inline]] void Connection::note_parked(CoarseTime limit, CoarseTime now,
                                                    CoarseTime since, bool idle) noexcept {
  parked_.limit.store(limit, std::memory_order_relaxed);
  parked_.idle.store(idle, std::memory_order_relaxed);
  parked_.since.store(since, std::memory_order_relaxed);
  if (limit < filed_under.load(std::memory_order_relaxed)) [[unlikely]] {
    file_for(limit, now);
  }
}

// Until when room for the rest of an answer is waited for.
CoarseTime Connection::limit_of_answer(CoarseTime now) noexcept {
  client_takes_some(now);
  // There is more than one look until the limit.
  const std::int64_t send = limits().send.count();
  return std::min(coarse_after(progress_.progress_at(), send),
                  coarse_after(now, std::max<std::int64_t>(send / 4, 1)));
}

[[gnu::noinline]] void Connection::file_for(CoarseTime limit, CoarseTime now) noexcept {
  const std::lock_guard lock(service_->registry.mutex);
  service_->registry.file(*this, limit, now);
}

// What came is not known to be received.
[[gnu::always_inline]] void Connection::look_again() noexcept {
  socket().forget_receives();
  ready_ = true;
}

// Fails if an event came while it ran.
[[gnu::always_inline]] bool Connection::park() noexcept {
  if (custody_.park()) [[likely]] {
    return true;
  }
  look_again();
  return false;
}

bool Connection::give_back() noexcept {
  ready_ = false;
  return park();
}

// For one that has not been parked yet: filed and handed on in one step, as no second attempt would
// follow.
void Connection::become_parked() noexcept {
  const CoarseTime now = coarse_now();
  const CoarseTime limit = coarse_after(now, limits().idle.count());
  const std::lock_guard lock(service_->registry.mutex);
  parked_.since.store(now, std::memory_order_relaxed);
  parked_.limit.store(limit, std::memory_order_relaxed);
  service_->registry.file(*this, limit, now);
  custody_.begin_parked();
}

// Whether the client took something of its answer within the limit.
bool Connection::client_takes_some(CoarseTime now) noexcept {
  int queued = 0;
  ::ioctl(socket().fileno(), TIOCOUTQ, &queued);
  progress_.look(stream().pending() + static_cast<std::uint64_t>(queued), now);
  return now < coarse_after(progress_.progress_at(), limits().send.count());
}

bool Connection::claim() noexcept {
  if (!custody_.claim()) return false;
  look_again();
  return true;
}

bool Connection::edge(std::uint32_t events) noexcept {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) {
    reader_.distrust_short_receives();
  }
  if (!custody_.event()) return false;
  look_again();
  return true;
}

}  // namespace net
