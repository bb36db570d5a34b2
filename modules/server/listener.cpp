module;

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :core;
import :datagram_socket;
import :listener;
import :poller;

namespace net {
namespace {

constexpr std::int64_t first_back_off = 10;  // milliseconds
constexpr std::int64_t last_back_off = 500;
constexpr int failures_in_a_row = 100;  // until others get their turn
constexpr std::size_t most_at_once = 1024;
constexpr std::int64_t most_in_vain = 100;

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

Listener::Listener(ServerCore& core, const Address& address, SocketFile file) noexcept
    : core_(core), address_(address), file_(std::move(file)) {}

void Listener::ready(std::uint32_t) { core_.accept_from(*this); }

void Listener::pause(CoarseTime until) noexcept {
  const std::lock_guard lock(pausing_);
  paused_until_.store(until);
  if (!paused_.exchange(true)) arm(false);
}

void Listener::resume() noexcept {
  const std::lock_guard lock(pausing_);
  if (!paused_.exchange(false) || arm(true)) return;
  paused_until_.store(coarse_after(coarse_now(), last_back_off));
  paused_.store(true);
}

bool Listener::arm(bool armed) noexcept { return core_.poller.arm(fileno(), *this, armed); }

bool Listener::came_in_vain() noexcept {
  if (++vain_ < most_in_vain) return false;
  vain_ = 0;
  back_off();
  return true;
}

void Listener::back_off() noexcept {
  back_off_ = std::clamp(back_off_ * 2, first_back_off, last_back_off);
  pause(coarse_after(coarse_now(), back_off_));
}

// --- connections ------------------------------------------------------------------------------

StreamListener::StreamListener(ServerCore& core, Socket socket, SocketFile file)
    : Listener(core, socket.getsockname(), std::move(file)), socket_(std::move(socket)) {}

std::size_t StreamListener::accept(std::size_t most) noexcept {
  int failures = 0;
  for (std::size_t count = 0; count < most;) {
    // A conversation may have taken its time in this very thread.
    if (count > 0 && !core().goes_on_accepting()) return count;
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int descriptor =
        ::accept4(socket_.fileno(), reinterpret_cast<sockaddr*>(&storage), &size, SOCK_CLOEXEC);
    if (descriptor >= 0) {
      succeeded();
      ++count;
      core().welcome(descriptor, std::as_bytes(std::span(&storage, 1)).first(size), *this);
      continue;
    }
    const int error = errno;
    switch (verdict(error)) {
      case Verdict::nothing:
        if (count == 0) came_in_vain();
        return count;
      case Verdict::again:
        if (error != EINTR) core().accept_failed(*this, error);
        if (++failures >= failures_in_a_row) return count;
        break;
      case Verdict::exhausted:
        core().accept_failed(*this, error);
        // Sockets that only wait for their peers' politeness go first.
        if (core().close_lingering()) break;
        back_off();
        return count;
      case Verdict::dead: core().listener_died(*this, error); return count;
    }
  }
  return most;
}

void StreamListener::close() noexcept {
  if (dead()) return;
  core().poller.remove(socket_.fileno(), *this);
  file().remove();
  socket_.close();
}

void StreamListener::close_in_child(int) noexcept {
  file().release();
  socket_.close();
}

// --- datagrams --------------------------------------------------------------------------------

DatagramListener::DatagramListener(ServerCore& core, Socket socket, SocketFile file)
    : Listener(core, socket.getsockname(), std::move(file)),
      socket_(std::make_shared<DatagramSocket>(std::move(socket), core.options.max_packet_size)) {}

DatagramListener::Taken DatagramListener::take(Connection*& datagram, int& error) noexcept {
  for (int failures = 0; failures < failures_in_a_row; ++failures) {
    const auto arrival = socket_->receive(error);
    if (arrival) {
      succeeded();
      datagram = core().make_datagram(socket_, *arrival);
      return Taken::datagram;
    }
    switch (verdict(error)) {
      case Verdict::nothing: return Taken::nothing;
      case Verdict::again:
        if (error != EINTR) core().accept_failed(*this, error);
        break;
      case Verdict::exhausted:
      case Verdict::dead: return Taken::failed;
    }
  }
  return Taken::nothing;
}

std::size_t DatagramListener::accept(std::size_t most) noexcept {
  // Who never stops sending must not keep a server from closing.
  most = std::min(most, most_at_once);
  for (std::size_t count = 0; count < most; ++count) {
    if (count > 0 && !core().goes_on_accepting()) return count;
    Connection* datagram = nullptr;
    int error = 0;
    switch (take(datagram, error)) {
      case Taken::datagram:
        if (datagram != nullptr) core().welcome(*datagram);
        break;
      case Taken::nothing:
        if (count == 0) {
          socket_->drop_errors();
          came_in_vain();
        }
        return count;
      case Taken::failed: failed(error); return count;
    }
  }
  return most;
}

void DatagramListener::look_into_error() noexcept {
  if (const int error = error_.exchange(0); error != 0) failed(error);
}

void DatagramListener::failed(int error) noexcept {
  if (verdict(error) == Verdict::dead) {
    core().listener_died(*this, error);
    return;
  }
  core().accept_failed(*this, error);
  back_off();
}

std::size_t DatagramListener::receive(std::span<Request> ready) noexcept {
  const std::size_t room = core().room();
  if (room == 0) {
    pause(never);
    core().waits_for_room();
    return 0;
  }
  const std::size_t most = std::min(room, ready.size());
  std::size_t count = 0;
  while (count < most) {
    Connection* datagram = nullptr;
    int error = 0;
    const Taken taken = take(datagram, error);
    if (taken == Taken::failed) {
      error_.store(error);
      pause(never);
      core().waits_for_serving_thread();
    } else if (taken == Taken::nothing && count == 0) {
      socket_->drop_errors();
      if (came_in_vain()) core().waits_for_serving_thread();
    }
    if (taken != Taken::datagram) break;
    if (datagram != nullptr) ready[count++] = Request(datagram);
  }
  return count;
}

bool DatagramListener::arm(bool armed) noexcept {
  return in_lot_ ? core().lot.arm(*this, armed) : Listener::arm(armed);
}

void DatagramListener::enter_lot() {
  in_lot_ = true;
  try {
    core().lot.add(*this);
  } catch (...) {
    in_lot_ = false;
    throw;
  }
  core().poller.remove(fileno(), *this);
  if (paused()) arm(false);
}

void DatagramListener::leave_lot() noexcept {
  if (!in_lot_) return;
  core().lot.remove(*this);
  in_lot_ = false;
  if (dead()) return;
  try {
    core().poller.add(fileno(), *this);
    if (paused()) arm(false);
  } catch (const std::exception&) {
    core().listener_died(*this, ENOMEM);
  }
}

std::uint64_t DatagramListener::lost() const noexcept {
  // A child may have been forked while another thread held the lock.
  if (core().in_child()) return lost_;
  const std::lock_guard lock(closing_);
  return socket_ ? socket_->lost() : lost_;
}

void DatagramListener::close() noexcept {
  if (dead()) return;
  if (in_lot_) {
    core().lot.remove(*this);
    in_lot_ = false;
  } else {
    core().poller.remove(fileno(), *this);
  }
  file().remove();
  const std::lock_guard lock(closing_);
  lost_ = socket_->lost();
  socket_.reset();
}

void DatagramListener::close_in_child(int own) noexcept {
  file().release();
  // What the child answers by is the same socket.
  if (fileno() >= 0 && fileno() != own) socket_->close_in_child();
}

}  // namespace net
