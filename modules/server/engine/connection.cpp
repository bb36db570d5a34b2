module;

#include <fcntl.h>
#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :forked;
import :request_log;
import :running_mark;
import :service;

namespace net {

Connection::Connection(Service& service, Socket socket, const Address& peer,
                       const Address& listener) noexcept
    : Exchange(service, std::move(socket), peer, listener, false) {
  limits_changed();
  stream().set_write_buffer(conversation() ? 0 : service.options.write_buffer);
  this->socket().wait_in_receive(conversation());
  this->socket().set_send_by_progress(true);
  this->socket().set_may_get_descriptors(listener.family() == Family::unix_domain);
  watch_socket();
}

Connection::Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
                       const DatagramSocket::Arrival& arrival)
    : Exchange(service, Socket::adopt_unchecked(socket->fileno()), arrival.sender,
               socket->address(), true) {
  // The descriptor stays the listener's. If the following throws, this object's destructor does not
  // run, but its base's does, which would close the descriptor.
  const int descriptor = this->socket().detach();
  stream().hold_datagram(arrival.packet);
  received_ = std::make_unique<ReceivedDatagram>(socket, service.counters,
                                                 stream().input().content(), arrival);
  set_datagram(*received_);
  this->socket() = Socket::adopt_unchecked(descriptor);
  limits_changed();
  watch_socket();
  if (RequestLog* const log = handler().log()) log->received_datagram(arrival.packet.size());
}

void Connection::watch_socket() noexcept {
  handler().note_requests();
  socket().set_watch(this, handler().log() != nullptr);
}

Connection::~Connection() {
  socket().set_watch(nullptr);
  // The descriptor is the listener's, unless the handler has put a socket of its own in its place.
  if (received_ && socket().fileno() == received_->fileno()) socket().detach();
}

// The handler closes its socket, or moves it elsewhere. From here on no other thread may touch the
// descriptor, since its number may belong to another file soon. And epoll must not keep a
// registration that outlives this object, as that of a duplicated or moved descriptor would.
int Connection::before_release(int descriptor, bool closing) noexcept {
  // The listener's socket still serves others, so the handler gets a duplicate.
  if (received_) return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  send_before_release();
  {
    const std::lock_guard lock(service().registry.mutex);
    give_away();
  }
  if (service().in_child()) {
    tell_parent(Outcome::none);
    service().children.tell_given_away();
    service().wakeup.signal();
  }
  if (in_lot.registered) service().lot.leave(*this);
  if (closing) {
    OwnDescriptors::replace(descriptor, service().timer.fileno());
  } else {
    OwnDescriptors::remove(descriptor);
  }
  Socket& bare = socket();
  bare.set_watch(nullptr);
  // The server's limits do not apply to the socket any more.
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
  if (received_ || given_away()) return {};
  give_away();
  socket().set_watch(nullptr);
  return std::move(socket());
}

void Connection::close_in_child() noexcept {
  socket().set_watch(nullptr);  // the watch acts in the parent only
  if (received_) {
    socket().detach();
  } else {
    OwnDescriptors::remove(socket().fileno());
    socket().close();
  }
}

void Connection::leave_requests_to_child() noexcept {
  if (handler().log() == nullptr) return;
  socket().set_watch(this);
  handler().forget_requests();
}

void Connection::cut() noexcept {
  // If a child has given the connection away, it still counts as cut, because the child is killed.
  if (given_away() && silence().in_this_process()) return;
  note_cut();
  if (received_ || given_away()) return;
  ::shutdown(socket().fileno(), SHUT_RDWR);
}

// --- serving -------------------------------------------------------------------------------------

bool Connection::verify() noexcept {
  const Outcome refused = handler().verify();
  if (refused != Outcome::none) end(refused);
  return refused == Outcome::none;
}

Connection::Prepared Connection::prepare() noexcept {
  const Prepared prepared = Exchange::prepare();
  if (prepared == Prepared::over) end(outcome());
  return prepared;
}

Next Connection::step() noexcept {
  if (!leave_queue()) return Next::close;
  const RunningMark mark(service());
  const Next next = Exchange::step();
  if (next == Next::close) end(outcome());
  return next;
}

void Connection::run() noexcept {
  reader().watch_edges();
  while (step() != Next::close) {
    if (!ready() && !wait()) {
      end(outcome());
      return;
    }
  }
}

// --- in the queue of a policy --------------------------------------------------------------------

void Connection::enter_queue() noexcept {
  const CoarseTime now = coarse_now();
  const CoarseTime limit = coarse_after(now, limits().request.count());
  const std::lock_guard lock(service().registry.mutex);
  queue_place_.join(limit);
  service().registry.file(*this, limit, now);
}

bool Connection::leave_queue() noexcept {
  queue_place_.got_place();
  if (!queue_place_.waits()) return true;
  const bool overdue = is_overdue(coarse_now());
  queue_place_.leave();
  if (overdue) end(Outcome::shed);
  return !overdue;
}

}  // namespace net
