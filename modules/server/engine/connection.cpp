module;

#include <fcntl.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;
import :forked;

namespace net {
namespace {

// A limit as a socket's timeout; one of more than a century is none.
std::optional<Socket::Duration> timeout(std::chrono::milliseconds limit) noexcept {
  if (limit > std::chrono::years(100)) return std::nullopt;
  return limit;
}

}  // namespace

Connection::Connection(Service& service, Socket socket, const Address& peer,
                       const Address& listener) noexcept
    : RequestContext(std::move(socket), peer, service.options.limits),
      service_(&service),
      listener_(&listener),
      reader_(stream(), *service.maker, service.options.max_request_size, false) {
  Connection::limits_changed();
  stream().set_write_buffer(conversation() ? 0 : service.options.write_buffer);
  this->socket().wait_in_receive(conversation());
  this->socket().set_send_by_progress(true);
  this->socket().set_may_get_descriptors(listener.family() == Family::unix_domain);
  note_silence_in_own();
  this->socket().set_watch(this);
}

Connection::Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
                       const DatagramSocket::Arrival& arrival)
    : RequestContext(Socket::adopt_unchecked(socket->fileno()), arrival.sender,
                     service.options.limits),
      service_(&service),
      listener_(&socket->address()),
      reader_(stream(), *service.maker, service.options.max_request_size, true) {
  // The descriptor stays the listener's, also if what follows throws: then this object is not
  // destroyed, but its base is.
  const int descriptor = this->socket().detach();
  stream().hold_datagram(arrival.packet);
  received_ = std::make_unique<ReceivedDatagram>(socket, service.counters,
                                                 stream().input().content(), arrival);
  set_datagram(*received_);
  this->socket() = Socket::adopt_unchecked(descriptor);
  Connection::limits_changed();
  this->socket().set_watch(this);
}

Connection::~Connection() {
  socket().set_watch(nullptr);
  // The listener's, unless the handler has put a socket of its own in its place.
  if (received_ && socket().fileno() == received_->fileno()) socket().detach();
}

void Connection::shutdown() noexcept { service_->shutdown(); }

bool Connection::stopping() const noexcept {
  return silence_.asked_to_end() || service_->draining() || service_->stop_asked();
}

Stats Connection::stats() const { return service_->stats(); }

void Connection::limits_changed() {
  if (conversation()) {
    socket().settimeout(timeout(limits().idle), timeout(limits().send));
    stream().set_rest_limit(limits().request);
  } else {
    stream().set_answer_limit(limits().answer);
    // Each receive of `handle` is bounded by the request limit, as a deadline.
    socket().settimeout(std::nullopt, timeout(limits().send));
  }
}

// The handler closes its socket, or moves it elsewhere. From here on nobody else may touch the
// descriptor, since its number may be another file's soon, and epoll must not keep a registration
// that outlives this object, as that of a duplicated or moved descriptor would.
int Connection::before_release(int descriptor, bool closing) noexcept {
  // The listener's serves others; the handler gets a duplicate.
  if (received_) return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  try {
    // To write means to write all of it; but a peer that has failed already is not waited for.
    if (ending_ == Outcome::failed) {
      stream().flush_now();
    } else {
      stream().flush();
    }
  } catch (const std::exception&) {
    // The peer is gone, or takes nothing: closing loses the rest.
  }
  {
    const std::lock_guard lock(service_->registry.mutex);
    given_away_ = true;
  }
  if (service_->in_child()) {
    tell_parent(Outcome::none);
    service_->children.tell_given_away();
    service_->wakeup.signal();
  }
  if (registered) service_->lot.leave(*this);
  if (closing) {
    OwnDescriptors::replace(descriptor, service_->timer.fileno());
  } else {
    OwnDescriptors::remove(descriptor);
  }
  Socket& bare = socket();
  bare.set_watch(nullptr);
  // The server's limits do not go with it.
  bare.wait_in_receive(false);
  bare.end_input_after(std::nullopt);
  bare.settimeout(std::nullopt);
  bare.set_send_by_progress(false);
  bare.set_may_get_descriptors(false);
  bare.set_deadline(Deadline::never());
  bare.set_receive_deadline(Deadline::never());
  return descriptor;
}

Socket Connection::leave_to_child() noexcept {
  if (received_ || given_away_) return {};
  given_away_ = true;
  socket().set_watch(nullptr);
  return std::move(socket());
}

void Connection::close_in_child() noexcept {
  socket().set_watch(nullptr);  // what it would do is the parent's
  if (received_) {
    socket().detach();
  } else {
    OwnDescriptors::remove(socket().fileno());
    socket().close();
  }
}

bool Connection::verify() noexcept {
  if (phase_ != Phase::verify_request) return true;
  phase_ = Phase::receive;
  const Outcome outcome = service_->hooks.verify(socket(), client_address());
  if (outcome == Outcome::none) return true;
  end(outcome);
  return false;
}

// --- in the queue of a policy, and silent --------------------------------------------------------

void Connection::enter_queue() noexcept {
  const CoarseTime now = coarse_now();
  const CoarseTime limit = coarse_after(now, limits().request.count());
  const std::lock_guard lock(service_->registry.mutex);
  parked_.limit.store(limit);
  in_queue_.store(true);
  service_->registry.file(*this, limit, now);
}

bool Connection::end_wait_in_queue() noexcept {
  const bool overdue = is_overdue(coarse_now());
  in_queue_.store(false);
  if (overdue) end(Outcome::shed);
  return !overdue;
}

bool Connection::left_unheard() noexcept {
  std::byte one{};
  const auto count = ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

Deadline Connection::queue_deadline() const noexcept {
  return conversation() ? deadline_at(parked_.limit.load()) : Deadline::never();
}

CoarseTime Connection::silent_since(State state) const noexcept {
  if (state != State::parked) return silence_.evictable_since(conversation());
  const CoarseTime since = parked_.since.load();
  return parked_.idle.load() ? since : ClientSilence::if_slow(since);
}

CoarseTime Connection::waits_since() const noexcept {
  return custody_.parked() ? 0 : silence_.idle_since();
}

void Connection::note_silence_in(Silence& shared) noexcept {
  silence_.note_in(shared);
  socket().note_silence_in(&shared.reading);
}

void Connection::note_silence_in_own() noexcept {
  silence_.note_in_own();
  socket().note_silence_in(&silence_.noted().reading);
}

void Connection::end_input() noexcept {
  if (given_away_ || !silence_.end_input()) return;
  // What waits to send is not woken by an end of the input.
  const int how = silence_.waits_for_room() ? SHUT_RDWR : SHUT_RD;
  ::shutdown(stream().socket().fileno(), how);
}

void Connection::ask_to_end() noexcept {
  silence_.ask_to_end();
  if (waits_since() != 0) {
    end_input();
  } else if (conversation() && !given_away_) {
    end_input_after(service_->options.quiet_grace);
  }
}

void Connection::end_input_after(std::chrono::milliseconds quiet) {
  ends_itself_ = true;
  socket().end_input_after(timeout(quiet));
}

void Connection::cut() noexcept {
  // A child is killed, whatever it has given away.
  if (given_away_ && silence_.in_this_process()) return;
  cut_.store(true, std::memory_order_relaxed);
  if (datagram() != nullptr || given_away_) return;
  ::shutdown(stream().socket().fileno(), SHUT_RDWR);
}

}  // namespace net
