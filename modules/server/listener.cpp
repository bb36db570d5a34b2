module;

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

module net.server;

import net.socket;
import :core;
import :listener;
import :poller;

namespace net {
namespace {

constexpr std::int64_t first_back_off = 10;  // milliseconds
constexpr std::int64_t last_back_off = 500;
constexpr int failures_in_a_row = 100;  // until others get their turn

}  // namespace

Listener::Verdict Listener::verdict(int error) noexcept {
  switch (error) {
    case EAGAIN: return Verdict::nothing;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return Verdict::exhausted;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EFAULT: return Verdict::dead;
    // ECONNABORTED, and what accept(2) advises to treat alike: the error was that connection's.
    default: return Verdict::again;
  }
}

Listener::Listener(ServerCore& core, Socket socket, const Address& address) noexcept
    : core_(core), socket_(std::move(socket)), address_(address) {}

void Listener::ready(std::uint32_t) { core_.accept_from(*this); }

std::size_t Listener::accept(std::size_t most) noexcept {
  int failures = 0;
  for (std::size_t count = 0; count < most;) {
    // A conversation may have taken its time in this very thread.
    if (count > 0 && !core_.goes_on_accepting()) return count;
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int descriptor =
        ::accept4(socket_.fileno(), reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC);
    if (descriptor >= 0) {
      back_off_ = 0;
      ++count;
      core_.welcome(descriptor, std::as_bytes(std::span(&storage, 1)).first(size), *this);
      continue;
    }
    const int error = errno;
    switch (verdict(error)) {
      case Verdict::nothing: return count;
      case Verdict::again:
        if (error != EINTR) core_.accept_failed(*this, error);
        if (++failures >= failures_in_a_row) return count;
        break;
      case Verdict::exhausted:
        core_.accept_failed(*this, error);
        // Sockets that only wait for their peers' politeness go first.
        if (core_.close_lingering()) break;
        back_off_ = std::clamp(back_off_ * 2, first_back_off, last_back_off);
        pause(coarse_after(coarse_now(), back_off_));
        return count;
      case Verdict::dead: core_.listener_died(*this, error); return count;
    }
  }
  return most;
}

void Listener::pause(CoarseTime until) noexcept {
  paused_until_ = until;
  if (!std::exchange(paused_, true)) core_.poller.arm(socket_.fileno(), *this, false);
}

void Listener::resume() noexcept {
  if (std::exchange(paused_, false)) core_.poller.arm(socket_.fileno(), *this, true);
}

void Listener::close() noexcept {
  if (dead()) return;
  core_.poller.remove(socket_.fileno(), *this);
  socket_.close();
}

}  // namespace net
