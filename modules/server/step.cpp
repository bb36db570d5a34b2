module;

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :core;
import :poller;

// How a connection is served: the steps of net.server:connection.

namespace net {
namespace {

constexpr int requests_in_a_row = 16;

thread_local const RunningMark* running_here = nullptr;

[[noreturn]] void throw_too_large(std::size_t most) {
  throw std::system_error(std::make_error_code(std::errc::message_size),
                          "a request of more than " + std::to_string(most) + " bytes");
}

}  // namespace

RunningMark::RunningMark(const ServerCore& core) noexcept
    : core_(&core), outer_(std::exchange(running_here, this)) {}

RunningMark::~RunningMark() { running_here = outer_; }

bool RunningMark::is_set(const ServerCore& core) noexcept {
  for (const RunningMark* mark = running_here; mark != nullptr; mark = mark->outer_) {
    if (mark->core_ == &core) return true;
  }
  return false;
}

// --- one step --------------------------------------------------------------------------------
//
// Most steps serve one small request: it arrived whole, nothing was pending or had expired, and the
// answer is sent at once. That path is straight; what is rare is in functions of its own.

Next Connection::step() noexcept {
  if (!leave_queue()) return Next::close;
  const RunningMark mark(*core_);
  try {
    Prepared prepared = Prepared::gone;
    if (only_reads()) [[likely]] {
      prepared = prepare_request(true);
    } else {
      prepared = prepare_or_throw(true);
    }
    if (prepared != Prepared::handler) {
      return prepared == Prepared::later ? Next::keep : Next::close;
    }
    return reading_ <= Reading::conversation ? converse() : handle_requests();
  } catch (...) {
    fail(std::current_exception());
    return Next::close;
  }
}

Connection::Prepared Connection::prepare() noexcept {
  try {
    return prepare_or_throw(false);
  } catch (...) {
    fail(std::current_exception());
    return Prepared::gone;
  }
}

[[gnu::noinline]] Connection::Prepared Connection::prepare_or_throw(bool may_finish) {
  phase_ = Phase::receive;
  if (reading_ == Reading::datagram) return verify() ? Prepared::handler : Prepared::gone;
  if (expired_ != Outcome::none) return end_expired(may_finish);
  if (stream().pending() > 0) {
    ready_ = false;
    if (!stream().flush_now()) return Prepared::later;
    untaken_ = 0;
    ready_ = true;
  }
  if (ending_ != Outcome::none) {
    end(ending_);
    return Prepared::gone;
  }
  if (conversation()) return Prepared::handler;
  return prepare_request(may_finish);
}

[[gnu::always_inline]] Connection::Prepared Connection::prepare_request(bool may_finish) {
  phase_ = Phase::receive;
  switch (reading_ == Reading::raw ? look() : gather()) {
    case Gathered::whole: return Prepared::handler;
    case Gathered::end: return finish_and_end(Outcome::served, may_finish);
    case Gathered::partial: break;
  }
  ready_ = false;
  return Prepared::later;
}

Connection::Prepared Connection::end_expired(bool may_finish) {
  const Outcome outcome = std::exchange(expired_, Outcome::none);
  const bool idle = outcome == Outcome::closed_idle || outcome == Outcome::evicted;
  if (idle && something_arrived()) {
    evicted_since_.store(0, std::memory_order_relaxed);
    ready_ = true;
    return prepare_or_throw(may_finish);
  }
  if (outcome == Outcome::timed_out && stream().pending() > 0) {
    if (stream().flush_now()) {
      untaken_ = 0;
      return prepare_or_throw(may_finish);
    }
    if (client_takes_some(coarse_now())) {
      ready_ = false;
      return Prepared::later;
    }
  }
  if (handler_ && !may_finish) {
    expired_ = outcome;
    return Prepared::handler;
  }
  if (outcome == Outcome::timed_out) throw TimeoutError("the connection's limit passed");
  return finish_and_end(outcome, may_finish);
}

[[gnu::noinline]] Connection::Prepared Connection::finish_and_end(Outcome outcome,
                                                                  bool may_finish) {
  if (handler_ && !may_finish) return Prepared::handler;
  if (!finish() && outcome == Outcome::served) outcome = Outcome::failed;
  if (outcome == Outcome::served && !given_away_ && !stream().flush_now()) {
    ending_ = outcome;
    ready_ = false;
    return Prepared::later;
  }
  end(outcome);
  return Prepared::gone;
}

[[gnu::always_inline]] Connection::Gathered Connection::gather() {
  row_since_ = 0;
  // Without framing, and with nothing left over, one receive decides.
  const bool one_receive = reading_ == Reading::unframed && stream().input().empty();
  if (!one_receive || stream().ended() || drained()) [[unlikely]] {
    return gather_on();
  }
  switch (stream().receive_now(SIZE_MAX)) {
    [[likely]] case BufferedStream::Arrival::bytes:
      note_input();
      stalled_ = false;
      return Gathered::whole;
    case BufferedStream::Arrival::nothing: return Gathered::partial;
    case BufferedStream::Arrival::end: break;
  }
  return Gathered::end;
}

// The same for the rest: requests with framing, and what an earlier receive has left or told.
[[gnu::noinline]] Connection::Gathered Connection::gather_on() {
  const ByteBuffer& input = stream().input();
  if (front_ != 0) return Gathered::whole;
  for (;;) {
    if (!input.empty() && !stalled_ && (reading_ == Reading::unframed || find_front())) {
      return Gathered::whole;
    }
    if (stalled_ && input.size() >= core_->options.max_request_size) {
      throw_too_large(core_->options.max_request_size);
    }
    if (stream().ended()) {
      // What came before the end is the last request, whole or not: the handler decides.
      return input.empty() || stalled_ ? Gathered::end : Gathered::whole;
    }
    if (drained()) return Gathered::partial;
    switch (stream().receive_now(SIZE_MAX)) {
      case BufferedStream::Arrival::bytes:
        note_input();
        stalled_ = false;
        break;
      case BufferedStream::Arrival::nothing: return Gathered::partial;
      case BufferedStream::Arrival::end: break;
    }
  }
}

// Whether the input begins with a whole request.
bool Connection::find_front() {
  const auto input = stream().input().content();
  const std::size_t most = core_->options.max_request_size;
  const std::size_t size = core_->maker->request_size()(input);
  if (size > most || (size == 0 && input.size() >= most)) throw_too_large(most);
  if (size == 0 || size > input.size()) return false;
  front_ = size;
  return true;
}

// For handlers that read the socket by themselves: they are called only if there is something to
// read, or the end of the stream.
[[gnu::noinline]] Connection::Gathered Connection::look() {
  if (looked_) return Gathered::whole;
  std::byte one{};
  ssize_t count = 0;
  do {
    count = ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN) throw_system_error(errno, "receive");
  if (count < 0) return Gathered::partial;
  // A client that left without a word costs no handler, and no child.
  if (count == 0 && !handler_) return Gathered::end;
  if (count > 0 && stalled_) {
    const Gathered found = look_behind_the_rest();
    if (found != Gathered::whole) return found;
  }
  note_input();
  stalled_ = false;
  looked_ = true;
  sees_end_ = count == 0;
  return Gathered::whole;
}

// What a handler left unread is no news. New bytes are, and so is the end of the stream: then the
// rest will never be more.
Connection::Gathered Connection::look_behind_the_rest() noexcept {
  if (unread() != unread_) return Gathered::whole;
  pollfd polled{socket().fileno(), POLLRDHUP, 0};
  return ::poll(&polled, 1, 0) > 0 ? Gathered::end : Gathered::partial;
}

std::size_t Connection::unread() noexcept {
  int bytes = 0;
  ::ioctl(socket().fileno(), FIONREAD, &bytes);
  return static_cast<std::size_t>(bytes);
}

void Connection::note_input() noexcept {
  row_since_ = coarse_now();
  if (request_since_ == 0) request_since_ = row_since_;
}

bool Connection::something_arrived() noexcept {
  std::byte one{};
  return ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

[[gnu::noinline]] void Connection::begin() {
  phase_ = Phase::make;
  handler_.reset(core_->maker->make(*this));
  phase_ = Phase::setup;
  handler_->setup();
}

// The size of the request that the input begins with; 0 if it is not whole. What is wrong with it
// is told when its turn comes.
std::size_t Connection::framed(std::span<const std::byte> input) const noexcept {
  if (input.empty() || stalled_) return 0;
  try {
    const std::size_t size = core_->maker->request_size()(input);
    return size <= std::min(input.size(), core_->options.max_request_size) ? size : 0;
  } catch (...) {
    return 0;
  }
}

// Which answers of the next handler wait for another one. Without framing it is not known before
// they are written. A handler that reads the socket by itself leaves no input, so none waits.
BufferedStream::Hold Connection::to_hold() noexcept {
  if (reading_ == Reading::framed) return to_hold_framed();
  if (row_since_ == 0) row_since_ = coarse_now();
  return BufferedStream::Hold::while_input;
}

[[gnu::noinline]] BufferedStream::Hold Connection::to_hold_framed() noexcept {
  if (stream().input().size() <= front_) return BufferedStream::Hold::none;
  if (row_since_ == 0) row_since_ = coarse_now();
  if (front_ != 0) following_ = framed(stream().input().content().subspan(front_));
  return following_ != 0 ? BufferedStream::Hold::all : BufferedStream::Hold::none;
}

bool Connection::another_at_hand() noexcept {
  if (stream().input().empty() || stalled_) return false;
  // A slow reader gets what it is owed first.
  if (stream().pending() > 0 && !stream().held()) return false;
  if (request_since_ != row_since_) return false;
  return reading_ == Reading::unframed || front_ != 0;
}

// Calls the handler, under the limits of the request in hand.
[[gnu::always_inline]] Next Connection::call_handler() {
  socket().set_deadline(Deadline::never());
  socket().set_receive_deadline(
      deadline_at(coarse_after(request_since_, limits().request.count())));
  core_->page.counters.requests.fetch_add(1, std::memory_order_relaxed);
  phase_ = Phase::handle;
  const Next decision = handler_->handle();
  phase_ = Phase::receive;
  return decision;
}

// After a handler whose input was `before` bytes long, and that left some.
[[gnu::noinline]] void Connection::note_left_over(std::size_t before) noexcept {
  stalled_ = stream().input().size() == before;
  if (!stalled_) request_since_ = coarse_now();
}

[[gnu::always_inline]] Next Connection::handle_buffered() {
  const ByteBuffer& input = stream().input();
  const std::size_t before = input.size();
  const Next decision = call_handler();
  if (input.empty()) [[likely]] {
    stalled_ = false;
    request_since_ = 0;
  } else if (!given_away_) {
    note_left_over(before);
  }
  return decision;
}

// Framed once each, as long as handlers take just what is theirs.
[[gnu::noinline]] Next Connection::handle_framed() {
  const auto before = stream().input().content();
  const Next decision = handle_buffered();
  if (given_away_) return decision;
  const auto left = stream().input().content();
  const bool took_one =
      front_ != 0 && left.size() == before.size() - front_ && left.data() == before.data() + front_;
  front_ = took_one ? following_ : framed(left);
  return decision;
}

// By a handler that reads the socket by itself.
[[gnu::noinline]] Next Connection::handle_raw() {
  socket().forget_receives();
  const Next decision = call_handler();
  if (given_away_) return decision;
  const auto received = socket().last_receive();
  const bool at_end = sees_end_ || received == Socket::Received::end;
  looked_ = false;
  // It may have read by calls that are not ours.
  unread_ = received == Socket::Received::nothing_asked ? unread() : 0;
  stalled_ = unread_ > 0;
  if (!stalled_) request_since_ = stream().input().empty() ? 0 : coarse_now();
  return at_end ? Next::close : decision;
}

// Serves what has arrived whole, some requests in a row. While another one is at hand, answers wait
// for the next, so that pipelined requests cost one send and not one each. Handlers that take their
// time are not called again: others wait for this thread, and the client for its answer.
Next Connection::handle_requests() {
  if (!handler_) begin();
  if (given_away_) return end_given_away();
  for (int left = requests_in_a_row;; --left) {
    following_ = 0;
    stream().set_hold(left > 1 ? to_hold() : BufferedStream::Hold::none);
    const Next decision = reading_ == Reading::unframed ? handle_buffered()
                          : reading_ == Reading::framed ? handle_framed()
                                                        : handle_raw();
    if (given_away_) return end_given_away();
    if (decision == Next::close) {
      return finish_and_end(Outcome::served, true) == Prepared::gone ? Next::close : Next::keep;
    }
    if (left == 1 || !another_at_hand()) break;
    stream().keep_holding();
  }
  stream().set_hold(BufferedStream::Hold::none);
  if (stream().pending() > 0 && !stream().flush_now()) {
    ready_ = false;
    return Next::keep;
  }
  // What a handler of the bare socket did not ask for, it left alone: then `stalled_` tells.
  const bool all_known = drained() || (reading_ == Reading::raw && untouched());
  ready_ = !all_known || stream().ended() || (!stream().input().empty() && !stalled_);
  return Next::keep;
}

// The handler closed its socket, or gave it to somebody else.
[[gnu::noinline]] Next Connection::end_given_away() noexcept {
  finish();
  end(Outcome::served);
  return Next::close;
}

Next Connection::converse() {
  if (!handler_) begin();
  if (given_away_) return end_given_away();
  core_->page.counters.requests.fetch_add(1, std::memory_order_relaxed);
  phase_ = Phase::handle;
  handler_->handle();
  phase_ = Phase::receive;
  const bool finished = finish();
  if (!given_away_) stream().flush();  // what `wfile` was let collect
  if (finished && received_ && !stream().collected().empty()) {
    received_->reply(stream().collected());
  }
  end(finished || given_away_ ? Outcome::served : Outcome::failed);
  return Next::close;
}

// --- a whole connection, waiting here ---------------------------------------------------------

void Connection::run() noexcept {
  for (;;) {
    if (step() == Next::close) return;
    if (!ready_ && !wait_for_more()) return;
  }
}

// A poll would tell of what the handler left unread, again and again. An edge tells of it once.
bool Connection::wait_for_new_input(Deadline limit) {
  const Descriptor epoll(above_standard_streams(::epoll_create1(EPOLL_CLOEXEC)));
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {}};
  if (epoll.get() < 0 || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket().fileno(), &event) != 0) {
    throw_system_error(errno, "epoll");
  }
  while (look_behind_the_rest() == Gathered::partial) {
    if (wait_for_events(epoll.get(), std::span(&event, 1), limit).empty() && limit.passed()) {
      return false;
    }
  }
  return true;
}

bool Connection::wait_for_more() noexcept {
  try {
    if (stream().pending() > 0) {
      stream().flush();
    } else {
      stream().input().shrink();
      const bool partial = request_since_ != 0;
      const CoarseTime limit = partial ? coarse_after(request_since_, limits().request.count())
                                       : coarse_after(coarse_now(), limits().idle.count());
      if (!partial) silence_->between.store(coarse_now(), std::memory_order_relaxed);
      const bool came = stalled_ && reading_ == Reading::raw
                            ? wait_for_new_input(deadline_at(limit))
                            : socket().wait_to_receive(deadline_at(limit)) &&
                                  (!silence_->ended.load() || something_arrived());
      silence_->between.store(0, std::memory_order_relaxed);
      if (!came) {
        expire(partial ? Outcome::timed_out : Outcome::closed_idle);
      }
      socket().forget_receives();
    }
    ready_ = true;
    return true;
  } catch (...) {
    const RunningMark mark(*core_);
    fail(std::current_exception());
    return false;
  }
}

}  // namespace net
