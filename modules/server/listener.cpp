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
import :forked;
import :listener;
import :poller;

namespace net {
namespace {

constexpr std::int64_t first_back_off = 10;  // milliseconds
constexpr std::int64_t last_back_off = 500;
constexpr int failures_in_a_row = 100;  // until others get their turn
constexpr std::size_t most_at_once = 1024;
constexpr std::int64_t most_in_vain = 100;
constexpr std::size_t most_by_lot = 64;

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

Listener::Listener(ServerCore& core, const Address& address, SocketFile file)
    : core_(core), address_(address), file_(std::move(file)) {}

void Listener::ready(std::uint32_t) { core_.accept_from(*this); }

void Listener::pause(CoarseTime until) noexcept {
  const std::lock_guard lock(pausing_);
  paused_until_.store(until);
  if (!paused_.exchange(true)) arm(false);
  core_.timer.due_by(until);
}

void Listener::resume() noexcept {
  const std::lock_guard lock(pausing_);
  error_.store(0);
  if (!paused_.exchange(false) || arm(true)) return;
  const CoarseTime until = coarse_after(coarse_now(), last_back_off);
  paused_until_.store(until);
  paused_.store(true);
  core_.timer.due_by(until);
}

bool Listener::arm(bool armed) noexcept {
  return in_lot_ ? core_.lot.arm(*this, armed) : core_.poller.arm(fileno(), *this, armed);
}

void Listener::enter_lot() {
  in_lot_ = true;
  try {
    core_.lot.add(*this);
  } catch (...) {
    in_lot_ = false;
    throw;
  }
  core_.poller.remove(fileno(), *this);
  if (paused()) arm(false);
}

void Listener::leave_lot() noexcept {
  if (!in_lot_) return;
  core_.lot.remove(*this);
  in_lot_ = false;
  if (dead()) return;
  try {
    core_.poller.add(fileno(), *this);
    if (paused()) arm(false);
  } catch (const std::exception&) {
    core_.listener_died(*this, ENOMEM);
  }
}

void Listener::close() noexcept {
  if (dead()) return;
  if (in_lot_) {
    core_.lot.remove(*this);
    in_lot_ = false;
  } else {
    core_.poller.remove(fileno(), *this);
  }
  file_.remove(core_.forked(), [this] { close_socket(); });
}

bool Listener::failed(int error) noexcept {
  if (verdict(error) == Verdict::dead) {
    core_.listener_died(*this, error);
    return false;
  }
  core_.accept_failed(*this, error);
  // Sockets that only wait for their peers' politeness go first.
  if (core_.close_lingering()) return true;
  back_off();
  return false;
}

void Listener::failed_in_lot(int error) noexcept {
  error_.store(error);
  pause(never);
  core_.waits_for_serving_thread();
}

void Listener::look_into_error() noexcept {
  const int error = error_.exchange(0);
  if (error != 0 && failed(error)) pause(0);
}

std::size_t Listener::room_in_lot() noexcept {
  if (!core_.goes_on_accepting()) {
    pause(0);
    core_.waits_for_serving_thread();
    return 0;
  }
  const std::size_t room = core_.room();
  if (room == 0) {
    pause(never);
    core_.waits_for_room();
  }
  return room;
}

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

StreamListener::StreamListener(ServerCore& core, Socket socket, const Address& address,
                               SocketFile file)
    : Listener(core, address, std::move(file)), socket_(std::move(socket)) {
  if (!dead()) OwnDescriptors::add(fileno());
}

StreamListener::~StreamListener() { StreamListener::close_socket(); }

void StreamListener::close_socket() noexcept {
  OwnDescriptors::remove(fileno());
  socket_.close();
}

struct StreamListener::Arrival {
  int descriptor = -1;
  sockaddr_storage name;
  socklen_t size = 0;

  std::span<const std::byte> peer() const { return std::as_bytes(std::span(&name, 1)).first(size); }
};

int StreamListener::take(Arrival& arrival) noexcept {
  for (int failures = 0; failures < failures_in_a_row; ++failures) {
    arrival.size = sizeof arrival.name;
    arrival.descriptor = above_standard_streams(::accept4(
        socket_.fileno(), reinterpret_cast<sockaddr*>(&arrival.name), &arrival.size, SOCK_CLOEXEC));
    if (arrival.descriptor >= 0) {
      succeeded();
      return 0;
    }
    const int error = errno;
    if (verdict(error) != Verdict::again) return error;
    if (error != EINTR) core().accept_failed(*this, error);
  }
  return EAGAIN;
}

std::size_t StreamListener::accept(std::size_t most) noexcept {
  Arrival arrival;
  for (std::size_t count = 0; count < most;) {
    // A conversation may have taken its time in this very thread.
    if (count > 0 && !core().goes_on_accepting()) return count;
    switch (const int error = take(arrival)) {
      case 0:
        ++count;
        core().welcome(arrival.descriptor, arrival.peer(), *this);
        break;
      case EAGAIN:
        if (count == 0) came_in_vain();
        return count;
      default:
        if (!failed(error)) return count;
    }
  }
  return most;
}

std::size_t StreamListener::receive(std::span<Request>) noexcept {
  const std::size_t most = std::min(room_in_lot(), most_by_lot);
  Arrival arrival;
  for (std::size_t count = 0; count < most; ++count) {
    switch (const int error = take(arrival)) {
      case 0: core().welcome_in_lot(arrival.descriptor, arrival.peer(), *this); break;
      case EAGAIN:
        if (count == 0 && came_in_vain()) core().waits_for_serving_thread();
        return 0;
      default: failed_in_lot(error); return 0;
    }
  }
  return 0;
}

std::unique_ptr<Listener> StreamListener::move_to(ServerCore& core) {
  OwnDescriptors::remove(fileno());
  return std::make_unique<StreamListener>(core, std::move(socket_), address(), std::move(file()));
}

void StreamListener::close_in_child() noexcept { close_socket(); }

// --- datagrams --------------------------------------------------------------------------------

DatagramListener::DatagramListener(ServerCore& core, Socket socket, const Address& address,
                                   SocketFile file)
    : Listener(core, address, std::move(file)) {
  if (socket.fileno() < 0) return;
  socket_ = std::make_shared<DatagramSocket>(std::move(socket), core.options.max_packet_size);
}

int DatagramListener::take(Connection*& datagram) noexcept {
  for (int failures = 0; failures < failures_in_a_row; ++failures) {
    int error = 0;
    if (const auto arrival = socket_->receive(error)) {
      succeeded();
      datagram = core().make_datagram(socket_, *arrival);
      return 0;
    }
    if (verdict(error) != Verdict::again) return error;
    if (error != EINTR) core().accept_failed(*this, error);
  }
  return EAGAIN;
}

std::size_t DatagramListener::accept(std::size_t most) noexcept {
  // Who never stops sending must not keep a server from closing.
  most = std::min(most, most_at_once);
  for (std::size_t count = 0; count < most;) {
    if (count > 0 && !core().goes_on_accepting()) return count;
    Connection* datagram = nullptr;
    switch (const int error = take(datagram)) {
      case 0:
        ++count;
        if (datagram != nullptr) core().welcome(*datagram);
        break;
      case EAGAIN:
        if (count == 0) {
          socket_->drop_errors();
          came_in_vain();
        }
        return count;
      default:
        if (!failed(error)) return count;
    }
  }
  return most;
}

std::size_t DatagramListener::receive(std::span<Request> ready) noexcept {
  const std::size_t most = std::min(room_in_lot(), ready.size());
  std::size_t count = 0;
  while (count < most) {
    Connection* datagram = nullptr;
    switch (const int error = take(datagram)) {
      case 0:
        if (datagram != nullptr) ready[count++] = Request(datagram);
        break;
      case EAGAIN:
        if (count > 0) return count;
        socket_->drop_errors();
        if (came_in_vain()) core().waits_for_serving_thread();
        return 0;
      default: failed_in_lot(error); return count;
    }
  }
  return count;
}

std::uint64_t DatagramListener::lost() const noexcept {
  // A child may have been forked while another thread held the lock.
  if (core().forked_away()) return lost_;
  const std::lock_guard lock(closing_);
  return socket_ ? socket_->lost() : lost_;
}

void DatagramListener::close_socket() noexcept {
  const std::lock_guard lock(closing_);
  lost_ = socket_->lost();
  socket_.reset();
}

// Datagrams that the parent is serving hold the old object, and with it the memory, but no
// descriptor.
std::unique_ptr<Listener> DatagramListener::move_to(ServerCore& core) {
  Socket moved = socket_ ? socket_->take() : Socket();
  return std::make_unique<DatagramListener>(core, std::move(moved), address(), std::move(file()));
}

void DatagramListener::close_in_child() noexcept {
  if (socket_) socket_->close();
}

}  // namespace net
