module;

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import :closer;
import :due_timer;
import :forked;
import :poller;

namespace net {
namespace {

constexpr std::int64_t next_look = 10;  // milliseconds

}  // namespace

Closer::Lingering::Lingering(Closer& closer, Socket lingering_socket, CoarseTime now) noexcept
    : socket(std::move(lingering_socket)),
      since(now),
      limit(coarse_after(now, closer.milliseconds_)),
      heard(now),
      closer_(closer),
      left_(closer.bytes_) {}

Closer::Lingering::~Lingering() {
  OwnDescriptors::replace(socket.fileno(), closer_.timer_.fileno());
}

void Closer::Lingering::ready(std::uint32_t) { closer_.hear(*this); }

bool Closer::Lingering::discard() noexcept {
  std::array<std::byte, 16384> discarded;  // recv fills it
  for (int turn = 0; turn < 16; ++turn) {
    const auto count = ::recv(socket.fileno(), discarded.data(), discarded.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    const auto size = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    if (count <= 0 || size >= left_) return false;
    left_ -= size;
  }
  return true;
}

bool Closer::Lingering::all_taken() const noexcept {
  int untaken = 0;
  return ::ioctl(socket.fileno(), TIOCOUTQ, &untaken) == 0 && untaken == 0;
}

Closer::Closer(Poller& poller, DueTimer& timer, std::int64_t milliseconds, std::size_t bytes,
               std::size_t enough) noexcept
    : poller_(poller), timer_(timer), milliseconds_(milliseconds), bytes_(bytes), enough_(enough) {}

Closer::~Closer() { close_all(); }

// Closing while the peer still sends would reset the connection, and the peer would lose what it
// has not received yet. After a silence in which it received everything, nothing can be lost.
void Closer::close(Socket socket, const Ended& ended) noexcept {
  if (ended.peer_ended || ended.impolite) {
    close_now(socket);
    return;
  }
  int untaken = 0;
  const bool all_taken = (ended.idle || ended.input_ended) &&
                         ::ioctl(socket.fileno(), TIOCOUTQ, &untaken) == 0 && untaken == 0;
  if (ended.input_ended && !all_taken) {
    add_until_taken(std::move(socket));
    return;
  }
  ::shutdown(socket.fileno(), SHUT_WR);
  std::byte one{};
  const auto left = ::recv(socket.fileno(), &one, 1, MSG_DONTWAIT);
  if (left > 0 || (left < 0 && errno == EAGAIN && !all_taken)) {
    add(std::move(socket));
  } else {
    close_now(socket);
  }
}

void Closer::close_now(Socket& socket) noexcept {
  OwnDescriptors::replace(socket.fileno(), timer_.fileno());
  socket.close();
}

void Closer::linger_here(Socket& socket, Deadline limit, std::size_t bytes) noexcept {
  if (socket.fileno() < 0) return;
  ::shutdown(socket.fileno(), SHUT_WR);
  std::array<std::byte, 4096> discarded;  // recv fills it
  try {
    while (socket.wait_to_receive(limit)) {
      const auto count = socket.try_recv(discarded);
      if (count && (*count == 0 || *count >= bytes)) break;
      bytes -= count.value_or(0);
    }
  } catch (const std::exception&) {
    // The connection is reset: there is nothing left to wait for.
  }
}

void Closer::add(Socket socket) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    Lingering& added = lingering_.emplace_back(*this, std::move(socket), coarse_now());
    try {
      poller_.add(added.socket.fileno(), added);
      timer_.due_by(added.limit);
    } catch (const std::exception&) {
      lingering_.pop_back();
    }
  } catch (const std::exception&) {
    close_now(socket);  // no memory to linger with
  }
}

void Closer::add_until_taken(Socket socket) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    sending_.emplace_back(*this, std::move(socket), coarse_now());
    timer_.due_by(coarse_after(coarse_now(), next_look));
  } catch (const std::exception&) {
    close_now(socket);  // no memory to linger with
  }
}

// Takes the lock, because another thread may be closing this socket in `close_oldest`.
void Closer::hear(Lingering& lingering) noexcept {
  const std::lock_guard lock(mutex_);
  if (lingering.socket.fileno() < 0) return;
  lingering.heard = coarse_now();
  if (lingering.discard()) return;
  poller_.remove(lingering.socket.fileno(), lingering);
  lingering_.remove_if([&](const Lingering& other) { return &other == &lingering; });
}

void Closer::sweep(CoarseTime now) noexcept {
  const std::lock_guard lock(mutex_);
  given_up_.clear();
  // The list is ordered by time, because each socket gets the same limit.
  while (!lingering_.empty() && lingering_.front().limit <= now) {
    poller_.remove(lingering_.front().socket.fileno(), lingering_.front());
    lingering_.pop_front();
  }
  sending_.remove_if([now](Lingering& sending) {
    // Discard unread bytes, which would make the close reset the connection.
    sending.discard();
    return sending.limit <= now || sending.all_taken();
  });
  if (!lingering_.empty()) timer_.due_by(lingering_.front().limit);
  // No event tells when a peer has taken what was sent, so look again soon.
  if (!sending_.empty()) timer_.due_by(coarse_after(now, next_look));
}

void Closer::hurry(CoarseTime now, std::int64_t milliseconds) noexcept {
  const std::lock_guard lock(mutex_);
  lingering_.remove_if([&](const Lingering& lingering) {
    if (coarse_after(lingering.heard, milliseconds) > now || !lingering.all_taken()) return false;
    poller_.remove(lingering.socket.fileno(), lingering);
    return true;
  });
}

void Closer::close_all() noexcept {
  const std::lock_guard lock(mutex_);
  for (Lingering& lingering : lingering_) {
    poller_.remove(lingering.socket.fileno(), lingering);
  }
  lingering_.clear();
  sending_.clear();
  given_up_.clear();
}

std::list<Closer::Lingering>& Closer::with_oldest() noexcept {
  if (sending_.empty()) return lingering_;
  if (lingering_.empty()) return sending_;
  return sending_.front().since < lingering_.front().since ? sending_ : lingering_;
}

CoarseTime Closer::oldest() noexcept {
  const std::lock_guard lock(mutex_);
  const std::list<Lingering>& sockets = with_oldest();
  return sockets.empty() ? never : sockets.front().since;
}

bool Closer::close_oldest() noexcept {
  const std::lock_guard lock(mutex_);
  std::list<Lingering>& sockets = with_oldest();
  if (sockets.empty()) return false;
  Lingering& given_up = sockets.front();
  // Not `remove`, which is for the serving thread. That thread frees the object.
  poller_.arm(given_up.socket.fileno(), given_up, false);
  OwnDescriptors::remove(given_up.socket.fileno());
  given_up.socket.close();
  given_up_.splice(given_up_.end(), sockets, sockets.begin());
  timer_.due_by(coarse_after(coarse_now(), next_look));
  return true;
}

std::size_t Closer::size() const {
  const std::lock_guard lock(mutex_);
  return lingering_.size() + sending_.size();
}

void Closer::close_in_child() noexcept {
  for (auto* const sockets : {&lingering_, &sending_}) {
    for (Lingering& lingering : *sockets) {
      OwnDescriptors::remove(lingering.socket.fileno());
      lingering.socket.close();
    }
  }
}

}  // namespace net
