module;

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "probes.hpp"

module net.server;

import net.socket;
import :connection;
import :datagram_socket;
import :fork_scope;
import :forked;
import :listener;
import :poller;

namespace net {
namespace {

constexpr int failures_in_a_row = 100;  // before other connections get their turn

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
    // ECONNABORTED and other errors of one connection only, after which accept(2) advises trying
    // again.
    default: return Verdict::again;
  }
}

Listener::Listener(Service& service, Newcomers& newcomers, const Address& address, SocketFile file)
    : service_(service), newcomers_(newcomers), address_(address), file_(std::move(file)) {}

int Listener::take(Connection*& taken) noexcept {
  for (int failures = 0; failures < failures_in_a_row; ++failures) {
    const int error = take_one(taken);
    if (error == 0) {
      backoff_.succeeded();
      return 0;
    }
    const Verdict found = verdict(error);
    if (found == Verdict::exhausted && ForkScope::close_oldest_lingering()) continue;
    if (found != Verdict::again) return error;
    if (error != EINTR) service_.counters.accept_error();
  }
  return EAGAIN;
}

// --- pausing ----------------------------------------------------------------------------------

void Listener::pause(CoarseTime until) noexcept {
  const std::lock_guard lock(pausing_);
  paused_until_.store(until);
  if (!paused_.exchange(true)) arm(false);
  service_.timer.due_by(until);
}

void Listener::resume() noexcept {
  const std::lock_guard lock(pausing_);
  error_.store(0);
  if (!paused_.exchange(false) || arm(true)) return;
  const CoarseTime until = coarse_after(coarse_now(), Backoff::longest);
  paused_until_.store(until);
  paused_.store(true);
  service_.timer.due_by(until);
}

bool Listener::arm(bool armed) noexcept {
  return in_lot_ ? service_.lot.arm(*this, armed) : service_.poller.arm(fileno(), *this, armed);
}

void Listener::back_off() noexcept { pause(coarse_after(coarse_now(), backoff_.failed())); }

bool Listener::came_in_vain() noexcept {
  if (!backoff_.woken_for_nothing()) return false;
  back_off();
  return true;
}

// --- where it is polled -----------------------------------------------------------------------

void Listener::enter_lot() {
  in_lot_ = true;
  try {
    service_.lot.add(*this);
  } catch (...) {
    in_lot_ = false;
    throw;
  }
  service_.poller.remove(fileno(), *this);
  if (paused()) arm(false);
}

void Listener::leave_lot() noexcept {
  if (!in_lot_) return;
  service_.lot.remove(*this);
  in_lot_ = false;
  if (dead()) return;
  try {
    service_.poller.add(fileno(), *this);
    if (paused()) arm(false);
  } catch (const std::exception&) {
    newcomers_.died(*this, ENOMEM);
  }
}

std::unique_lock<std::mutex> Listener::hold_open() const {
  // No lock in a forked process: at the fork, another thread may have held it.
  return service_.forked_away() ? std::unique_lock<std::mutex>() : std::unique_lock(closing_);
}

Socket Listener::duplicate() {
  const auto lock = hold_open();
  if (dead()) return {};
  const int descriptor = ::fcntl(fileno(), F_DUPFD_CLOEXEC, 3);
  if (descriptor < 0)
    throw_system_error(errno, "duplicate the listener on " + address_.to_string());
  file_.share();
  return Socket::adopt_unchecked(descriptor);
}

void Listener::close() noexcept {
  if (dead()) return;
  if (in_lot_) {
    service_.lot.remove(*this);
    in_lot_ = false;
  } else {
    service_.poller.remove(fileno(), *this);
  }
  file_.remove(service_.forked(), [this] {
    const std::lock_guard lock(closing_);
    close_socket();
  });
}

// --- connections ------------------------------------------------------------------------------

StreamListener::StreamListener(Service& service, Newcomers& newcomers, Socket socket,
                               const Address& address, SocketFile file)
    : Listener(service, newcomers, address, std::move(file)), socket_(std::move(socket)) {
  if (!dead()) OwnDescriptors::add(fileno());
}

StreamListener::~StreamListener() { StreamListener::close_socket(); }

void StreamListener::close_socket() noexcept {
  OwnDescriptors::replace(fileno(), service().timer.fileno());
  socket_.close();
}

int StreamListener::take_one(Connection*& taken) noexcept {
  sockaddr_storage name;  // accept4 fills it
  socklen_t size = sizeof name;
  Socket socket;
  taken = nullptr;
  try {
    {
      const std::lock_guard lock(service().opening);
      socket = Socket::adopt_unchecked(above_standard_streams(
          ::accept4(fileno(), reinterpret_cast<sockaddr*>(&name), &size, SOCK_CLOEXEC)));
      if (socket.fileno() < 0) return errno;
      service().counters.accepted();
      OwnDescriptors::add(socket.fileno());
    }
    // Leave some descriptors to the application.
    if (OwnDescriptors::count() > service().most_descriptors) ForkScope::close_oldest_lingering();
    const Address peer = Address::from_native(std::as_bytes(std::span(&name, 1)).first(size));
    taken = new Connection(service(), std::move(socket), peer, address());
  } catch (const std::exception&) {
    OwnDescriptors::replace(socket.fileno(), service().timer.fileno());
    service().counters.ended(Outcome::dropped);  // no memory for the connection
    return 0;
  }
  NETSERVE_PROBE2(accept, taken->socket().fileno(), taken);
  service().add(*taken);
  return 0;
}

std::unique_ptr<Listener> StreamListener::move_to(Service& service, Newcomers& newcomers) {
  OwnDescriptors::remove(fileno());
  return std::make_unique<StreamListener>(service, newcomers, std::move(socket_), address(),
                                          std::move(file()));
}

// --- datagrams --------------------------------------------------------------------------------

DatagramListener::DatagramListener(Service& service, Newcomers& newcomers, Socket socket,
                                   const Address& address, SocketFile file)
    : Listener(service, newcomers, address, std::move(file)) {
  if (socket.fileno() < 0) return;
  socket_ = std::make_shared<DatagramSocket>(std::move(socket), service.options.max_packet_size,
                                             service.timer.fileno());
}

int DatagramListener::take_one(Connection*& taken) noexcept {
  int error = 0;
  const auto arrival = socket_->receive(error);
  if (!arrival) return error;
  service().counters.accepted();
  taken = nullptr;
  try {
    taken = new Connection(service(), socket_, *arrival);
  } catch (const std::exception&) {
    service().counters.ended(Outcome::dropped);  // no memory for the datagram
    return 0;
  }
  service().add(*taken);
  return 0;
}

std::uint64_t DatagramListener::lost() const noexcept {
  // In a forked process, the socket is as another thread left it, perhaps half closed.
  if (service().forked_away()) return lost_;
  const auto lock = hold_open();
  return socket_ ? socket_->lost() : lost_;
}

void DatagramListener::close_socket() noexcept {
  lost_ = socket_->lost();
  socket_.reset();
}

// This process has copies of the datagrams that the parent is serving, and these refer to the old
// DatagramSocket. So that object stays in memory, but its descriptor moves to the new one.
std::unique_ptr<Listener> DatagramListener::move_to(Service& service, Newcomers& newcomers) {
  Socket moved = socket_ ? socket_->take() : Socket();
  return std::make_unique<DatagramListener>(service, newcomers, std::move(moved), address(),
                                            std::move(file()));
}

void DatagramListener::close_in_child() noexcept {
  if (socket_) socket_->close_in_child();
}

}  // namespace net
