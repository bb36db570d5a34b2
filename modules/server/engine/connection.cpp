module;

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
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
      listener_(listener),
      reader_(stream(), *service.maker, service.options.max_request_size, false) {
  Connection::limits_changed();
  stream().set_write_buffer(conversation() ? 0 : service.options.write_buffer);
  this->socket().wait_in_receive(conversation());
  this->socket().set_send_by_progress(true);
  this->socket().set_may_get_descriptors(listener.family() == Family::unix_domain);
  note_silence_in(own_silence_);
  this->socket().set_watch(this);
}

Connection::Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
                       const DatagramSocket::Arrival& arrival)
    : RequestContext(Socket::adopt_unchecked(socket->fileno()), arrival.sender,
                     service.options.limits),
      service_(&service),
      listener_(socket->address()),
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
  return asked_to_end_.load(std::memory_order_relaxed) || service_->draining() ||
         service_->stop_asked();
}

Stats Connection::stats() const { return service_->stats(); }

void Connection::limits_changed() {
  if (conversation()) {
    socket().settimeout(timeout(limits().idle), timeout(limits().send));
    stream().set_rest_limit(limits().request);
  } else {
    // Each receive of `handle` is bounded by the request limit, as a deadline.
    socket().settimeout(std::nullopt, timeout(limits().send));
  }
}

// The handler closes its socket, or moves it elsewhere. From here on nobody else may touch the
// descriptor, since its number may be another file's soon, and epoll must not keep a registration
// that outlives this object, as that of a duplicated or moved descriptor would.
int Connection::before_release(int descriptor) noexcept {
  // The listener's serves others; the handler gets a duplicate.
  if (received_) return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  try {
    // To write means to write all of it; but a peer that has failed already is not waited for.
    if (failed_) {
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
  if (registered) service_->lot.leave(*this);
  OwnDescriptors::remove(descriptor);
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
  if (std::exchange(verified_, true)) return true;
  const Outcome outcome = service_->hooks.verify(socket(), client_address());
  if (outcome == Outcome::none) return true;
  end(outcome);
  return false;
}

// --- ownership --------------------------------------------------------------------------------

bool Connection::try_park() noexcept {
  if (ready_) return false;
  stream().input().shrink();
  const CoarseTime now = coarse_now();
  if (stream().pending() > 0 || reader_.request_since() != 0 || wants_output) [[unlikely]] {
    return park_unfinished(now);
  }
  note_parked(coarse_after(now, limits().idle.count()), now, true);
  return leave_running();
}

[[gnu::noinline]] bool Connection::park_unfinished(CoarseTime now) noexcept {
  const bool pending = stream().pending() > 0;
  const bool idle = !pending && reader_.request_since() == 0;
  note_parked(idle ? coarse_after(now, limits().idle.count()) : limit_of_unfinished(now), now,
              idle);
  if (pending != wants_output) service_->lot.want_output(*this, pending);
  return leave_running();
}

// The registry has to look at this connection before the limit passes. If it takes a running
// connection out meanwhile, it makes the parking fail: the next attempt files it.
[[gnu::always_inline]] void Connection::note_parked(CoarseTime limit, CoarseTime now,
                                                    bool idle) noexcept {
  park_limit_.store(limit, std::memory_order_relaxed);
  parked_idle_.store(idle, std::memory_order_relaxed);
  parked_since_.store(now, std::memory_order_relaxed);
  if (limit < filed_under.load(std::memory_order_relaxed)) [[unlikely]] {
    file_for(limit, now);
  }
}

// Until when the rest of a request, or room for the rest of an answer, is waited for.
CoarseTime Connection::limit_of_unfinished(CoarseTime now) noexcept {
  if (stream().pending() == 0)
    return coarse_after(reader_.request_since(), limits().request.count());
  client_takes_some(now);
  // There is more than one look until the limit.
  const std::int64_t send = limits().send.count();
  return std::min(coarse_after(progress_at_, send),
                  coarse_after(now, std::max<std::int64_t>(send / 4, 1)));
}

[[gnu::noinline]] void Connection::file_for(CoarseTime limit, CoarseTime now) noexcept {
  const std::lock_guard lock(service_->registry.mutex);
  service_->registry.file(*this, limit, now);
}

bool Connection::leave_running() noexcept {
  State expected = State::running;
  if (state_.compare_exchange_strong(expected, State::parked, std::memory_order_acq_rel))
      [[likely]] {
    return true;
  }
  stay_running();
  return false;
}

// An edge came while it ran: what it told is not known to be taken.
[[gnu::noinline]] void Connection::stay_running() noexcept {
  state_.exchange(State::running, std::memory_order_acq_rel);
  socket().forget_receives();
  ready_ = true;
}

bool Connection::give_back() noexcept {
  ready_ = false;
  return leave_running();
}

// For one that has not been parked yet: filed and handed on in one step, as no second attempt would
// follow.
void Connection::become(State state, CoarseTime limit) noexcept {
  const std::lock_guard lock(service_->registry.mutex);
  park_limit_.store(limit, std::memory_order_relaxed);
  service_->registry.file(*this, limit, coarse_now());
  state_.store(state, std::memory_order_release);
}

// Whether the client took something of its answer within the limit. Epoll tells of room only when a
// good part of the kernel's buffer is free.
bool Connection::client_takes_some(CoarseTime now) noexcept {
  int queued = 0;
  ::ioctl(socket().fileno(), TIOCOUTQ, &queued);
  const std::size_t untaken = stream().pending() + static_cast<std::size_t>(queued);
  if (untaken_ == 0 || untaken < untaken_) progress_at_ = now;
  untaken_ = untaken;
  return now < coarse_after(progress_at_, limits().send.count());
}

void Connection::become_parked() noexcept {
  const CoarseTime now = coarse_now();
  parked_since_.store(now, std::memory_order_relaxed);
  become(State::parked, coarse_after(now, limits().idle.count()));
}

bool Connection::claim() noexcept {
  State expected = State::parked;
  if (!state_.compare_exchange_strong(expected, State::running, std::memory_order_acq_rel)) {
    return false;
  }
  socket().forget_receives();
  ready_ = true;
  return true;
}

bool Connection::edge(std::uint32_t events) noexcept {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) {
    reader_.distrust_short_receives();
  }
  State seen = state();
  for (;;) {
    const bool running = seen == State::running || seen == State::running_more;
    if (seen == State::parked) {
      if (claim()) return true;
      seen = state();
    } else if (!running ||
               state_.compare_exchange_weak(seen, State::running_more, std::memory_order_acq_rel)) {
      return false;
    }
  }
}

void Connection::enter_queue() noexcept {
  become(State::waiting, coarse_after(coarse_now(), limits().request.count()));
}

bool Connection::leave_waiting() noexcept {
  State expected = State::waiting;
  if (state_.compare_exchange_strong(expected, State::running, std::memory_order_acq_rel)) {
    // Whoever comes first sees to the limit: that the reaper has not come by yet is no reprieve.
    if (coarse_now() < park_limit()) return true;
    end(Outcome::shed);
    return false;
  }
  // It is being shed, or was: whoever comes second frees it.
  if (state_.exchange(State::abandoned, std::memory_order_acq_rel) == State::gone) delete this;
  return false;
}

bool Connection::left_unheard() noexcept {
  std::byte one{};
  const auto count = ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

Deadline Connection::queue_deadline() const noexcept {
  return conversation() ? deadline_at(park_limit()) : Deadline::never();
}

bool Connection::claim_waiting() noexcept {
  State expected = State::waiting;
  return state_.compare_exchange_strong(expected, State::shedding, std::memory_order_acq_rel);
}

void Connection::shed() noexcept {
  Service& service = *service_;
  service.unlink(*this);
  close(Outcome::shed);
  service.counters.ended(Outcome::shed);
  if (state_.exchange(State::gone, std::memory_order_acq_rel) == State::abandoned) delete this;
  service.gone();
}

CoarseTime Connection::silent_since(State state) const noexcept {
  if (state == State::parked) return parked_idle() ? parked_since() : 0;
  const bool running = state == State::running || state == State::running_more;
  if (!running || input_ended_.load(std::memory_order_relaxed)) return 0;
  return (conversation() ? silence_->reading : silence_->between).load(std::memory_order_relaxed);
}

CoarseTime Connection::waits_since() const noexcept {
  const State seen = state();
  if (seen != State::running && seen != State::running_more) return 0;
  if (input_ended_.load(std::memory_order_relaxed)) return 0;
  return std::max(silence_->between.load(std::memory_order_relaxed),
                  silence_->reading.load(std::memory_order_relaxed));
}

void Connection::note_silence_in(Silence& silence) noexcept {
  silence_ = &silence;
  socket().note_silence_in(&silence.reading);
}

void Connection::end_input() noexcept {
  if (given_away_ || input_ended_.exchange(true)) return;
  silence_->ended.store(true);
  ::shutdown(stream().socket().fileno(), SHUT_RD);
}

void Connection::ask_to_end() noexcept {
  asked_to_end_.store(true);
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

bool Connection::is_leaving(CoarseTime now) const noexcept {
  constexpr std::int64_t patience = 2000;  // milliseconds, until another goes in its place
  const CoarseTime since = evicted_since_.load(std::memory_order_relaxed);
  return since != 0 && now < coarse_after(since, patience);
}

void Connection::cut() noexcept {
  if (given_away_) return;
  cut_.store(true, std::memory_order_relaxed);
  if (datagram() != nullptr) return;
  ::shutdown(stream().socket().fileno(), SHUT_RDWR);
}

void Connection::end_unwatched() noexcept {
  service_->hooks.connection_failed({Phase::receive, std::current_exception(), client_address()});
  end(Outcome::dropped);
}

void Connection::drop() noexcept {
  if (!leave_queue()) return;
  const RunningMark mark(*service_);
  finish();
  end(Outcome::dropped);
}

void Connection::reject() noexcept {
  if (!leave_queue()) return;
  const RunningMark mark(*service_);
  finish();
  const std::string answer = service_->hooks.overload_answer(client_address());
  // Once, as far as it goes: who is rejected must cost nothing.
  if (received_) {
    try {
      if (!answer.empty()) received_->reply(bytes(answer));
    } catch (const std::system_error&) {
      // Then it is not told.
    }
    end(Outcome::rejected);
    return;
  }
  ::send(socket().fileno(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  end(Outcome::rejected);
}

// --- the end ----------------------------------------------------------------------------------

bool Connection::finish() noexcept {
  stream().set_hold(BufferedStream::Hold::none);
  const std::unique_ptr<BoundHandler> handler = std::move(handler_);
  if (!handler) return true;
  phase_ = Phase::finish;
  try {
    handler->finish();
    return true;
  } catch (...) {
    const RequestError error{phase_, std::current_exception(), client_address()};
    service_->counters.handler_error();
    service_->hooks.connection_failed(error);
    return false;
  }
}

void Connection::fail(std::exception_ptr exception) noexcept {
  failed_ = true;
  const RequestError error{phase_, std::move(exception), client_address()};
  Counters& counters = service_->counters;
  Outcome outcome = Outcome::failed;
  if (cut_.load(std::memory_order_relaxed)) {
    outcome = Outcome::cut;
  } else if (error.timed_out()) {
    counters.time_out();
    outcome = Outcome::timed_out;
  } else if (error.peer_gone()) {
    counters.peer_gone();
    // Between two requests a reset is an end like any other.
    if (phase_ == Phase::receive && reader_.request_since() == 0 && stream().pending() == 0) {
      outcome = Outcome::served;
    }
  } else {
    counters.handler_error();
  }
  if (phase_ == Phase::setup) {
    handler_.reset();  // what was not set up is not finished
  } else {
    finish();
  }
  if (outcome != Outcome::cut) service_->hooks.connection_failed(error);
  if (outcome != Outcome::cut && !given_away_) {
    // What was answered before the exception is still an answer.
    try {
      stream().flush_now();
    } catch (const std::exception&) {
      // The peer is gone: nobody is left to answer.
    }
  }
  end(outcome);
}

void Connection::close(Outcome outcome) noexcept {
  Socket& bare = socket();
  bare.set_watch(nullptr);
  if (datagram() != nullptr || bare.fileno() < 0) return;
  // An end of the stream may have been ours. A socket that the handler put there is another one.
  const bool input_ended = input_ended_.load() && !given_away_;
  const bool peer_ended = stream().ended() && !input_ended && !ends_itself_ && !given_away_;
  const bool impolite = outcome == Outcome::timed_out || outcome == Outcome::cut ||
                        (outcome == Outcome::rejected && service_->lingers_enough());
  if (peer_ended || impolite) {
    OwnDescriptors::remove(bare.fileno());
    bare.close();
    return;
  }
  // Closing while the peer still sends would reset the connection, and destroy what it has not got
  // yet. After a silence in which it got everything, there is nothing to destroy.
  int untaken = 0;
  const bool idle = outcome == Outcome::closed_idle || outcome == Outcome::evicted;
  const bool all_taken =
      (idle || input_ended) && ::ioctl(bare.fileno(), TIOCOUTQ, &untaken) == 0 && untaken == 0;
  if (input_ended && !all_taken) {
    service_->closer.add_until_taken(std::move(bare));
    return;
  }
  ::shutdown(bare.fileno(), SHUT_WR);
  std::byte one{};
  const auto left = ::recv(bare.fileno(), &one, 1, MSG_DONTWAIT);
  if (left > 0 || (left < 0 && errno == EAGAIN && !all_taken)) {
    service_->closer.add(std::move(bare));
  } else {
    OwnDescriptors::remove(bare.fileno());
    bare.close();
  }
}

// In a child, which has nobody else to serve meanwhile.
void Connection::close_replacement() noexcept {
  Socket& other = socket();
  if (other.fileno() < 0) return;
  ::shutdown(other.fileno(), SHUT_WR);
  const Deadline limit(service_->options.linger);
  std::array<std::byte, 4096> discarded;  // recv fills it
  try {
    std::size_t left = service_->options.linger_bytes;
    while (other.wait_to_receive(limit)) {
      const auto count = other.try_recv(discarded);
      if (count && (*count == 0 || *count >= left)) break;
      left -= count.value_or(0);
    }
  } catch (const std::exception&) {
    // Its peer is gone.
  }
}

void Connection::end(Outcome outcome) noexcept {
  Service& service = *service_;
  handler_.reset();
  if (service.in_child()) {
    // The parent closes politely, and counts.
    auto& slot = service.page.children.at(service.child_slot);
    slot.detached.store(given_away_);
    slot.outcome.store(outcome);
    if (given_away_) close_replacement();
    delete this;
    return;
  }
  ParkingLot& lot = service.lot;
  service.unlink(*this);
  if (registered) lot.leave(*this);
  if (was_cut()) outcome = Outcome::cut;  // whatever its handler, or its child, made of that
  if (evicted_since_.load(std::memory_order_relaxed) != 0 &&
      (outcome == Outcome::served || outcome == Outcome::closed_idle)) {
    outcome = Outcome::evicted;
  }
  close(outcome);
  service.counters.ended(outcome);
  state_.store(State::gone, std::memory_order_release);
  if (entered) {
    lot.retire(this);
  } else {
    delete this;
  }
  service.gone();
}

}  // namespace net
