module;

#include <sys/socket.h>

#include <atomic>
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

// How a connection is served: the steps of net.server:connection.

namespace net {
namespace {

[[noreturn]] void throw_too_large(std::size_t most) {
  throw std::system_error(std::make_error_code(std::errc::message_size),
                          "a request of more than " + std::to_string(most) + " bytes");
}

}  // namespace

// --- one step --------------------------------------------------------------------------------

Next Connection::step() noexcept {
  if (!leave_queue()) return Next::close;
  const RunningMark mark(*core_);
  try {
    switch (prepare_or_throw(true)) {
      case Prepared::later: return Next::keep;
      case Prepared::gone: return Next::close;
      case Prepared::handler: break;
    }
    return conversation() || received_ ? converse() : handle_one();
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

Connection::Prepared Connection::prepare_or_throw(bool may_finish) {
  phase_ = Phase::receive;
  if (received_) return verify() ? Prepared::handler : Prepared::gone;
  if (expired_ != Outcome::none) return end_expired(may_finish);
  if (stream().pending() > 0) {
    ready_ = false;
    if (!stream().flush_now()) return Prepared::later;
    last_pending_ = 0;
    ready_ = true;
  }
  if (ending_ != Outcome::none) {
    end(ending_);
    return Prepared::gone;
  }
  if (!core_->maker->reads_ahead()) {
    note_input();
    return Prepared::handler;
  }
  switch (gather()) {
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
  if (handler_ && !may_finish) {
    expired_ = outcome;
    return Prepared::handler;
  }
  if (outcome == Outcome::timed_out) throw TimeoutError("the connection's limit passed");
  return finish_and_end(outcome, may_finish);
}

Connection::Prepared Connection::finish_and_end(Outcome outcome, bool may_finish) {
  if (handler_ && !may_finish) return Prepared::handler;
  if (!finish() && outcome == Outcome::served) outcome = Outcome::failed;
  if (outcome == Outcome::served && !stream().flush_now()) {
    ending_ = outcome;
    ready_ = false;
    return Prepared::later;
  }
  end(outcome);
  return Prepared::gone;
}

Connection::Gathered Connection::gather() {
  ByteBuffer& input = stream().input();
  const auto request_size = core_->maker->request_size();
  const std::size_t most = core_->options.max_request_size;
  for (;;) {
    if (!input.empty() && !stalled_) {
      if (request_size == nullptr) return Gathered::whole;
      const std::size_t size = request_size(input.content());
      if (size > most || (size == 0 && input.size() >= most)) throw_too_large(most);
      if (size != 0 && size <= input.size()) return Gathered::whole;
    }
    if (stalled_ && input.size() >= most) throw_too_large(most);
    if (stream().ended()) {
      // What came before the end is the last request, whole or not: the handler decides.
      return input.empty() || stalled_ ? Gathered::end : Gathered::whole;
    }
    const bool drained = socket().last_receive() == Socket::Received::all &&
                         !look_again_.load(std::memory_order_relaxed);
    if (drained) return Gathered::partial;
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

void Connection::note_input() noexcept {
  if (request_since_ == 0) request_since_ = coarse_now();
}

bool Connection::something_arrived() noexcept {
  std::byte one{};
  return ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void Connection::begin() {
  if (handler_) return;
  phase_ = Phase::make;
  handler_.reset(core_->maker->make(*this));
  phase_ = Phase::setup;
  handler_->setup();
}

Next Connection::handle_one() {
  begin();
  ByteBuffer& input = stream().input();
  const std::size_t before = input.size();
  const bool reads_ahead = core_->maker->reads_ahead();
  if (!reads_ahead) socket().forget_receives();
  socket().set_deadline(Deadline::never());
  socket().set_receive_deadline(
      deadline_at(coarse_after(request_since_, limits().request.count())));
  core_->page.counters.requests.fetch_add(1, std::memory_order_relaxed);
  phase_ = Phase::handle;
  const Next decision = handler_->handle();
  if (detached()) {
    finish();
    end(Outcome::served);
    return Next::close;
  }
  const auto received = socket().last_receive();
  stalled_ = reads_ahead ? before != 0 && input.size() == before
                         : received == Socket::Received::nothing_asked;
  if (!stalled_) request_since_ = input.empty() ? 0 : coarse_now();
  const bool raw_end = !reads_ahead && received == Socket::Received::end;
  if (decision == Next::close || raw_end) {
    phase_ = Phase::receive;
    return finish_and_end(Outcome::served, true) == Prepared::gone ? Next::close : Next::keep;
  }
  phase_ = Phase::receive;
  if (!stream().flush_now()) {
    ready_ = false;
    return Next::keep;
  }
  const bool drained = reads_ahead ? received == Socket::Received::all &&
                                         !look_again_.load(std::memory_order_relaxed)
                                   : received != Socket::Received::perhaps_more;
  ready_ = stream().ended() || !drained || (!input.empty() && !stalled_);
  return Next::keep;
}

Next Connection::converse() {
  begin();
  core_->page.counters.requests.fetch_add(1, std::memory_order_relaxed);
  phase_ = Phase::handle;
  handler_->handle();
  phase_ = Phase::receive;
  const bool finished = finish();
  if (!detached()) stream().flush();  // what `wfile` was let collect
  if (finished && received_ && !stream().collected().empty()) {
    received_->reply(stream().collected());
  }
  end(finished || detached() ? Outcome::served : Outcome::failed);
  return Next::close;
}

// --- a whole connection, waiting here ---------------------------------------------------------

void Connection::run() noexcept {
  for (;;) {
    if (step() == Next::close) return;
    if (!ready_ && !wait_for_more()) return;
  }
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
      if (!partial) silence_->store(coarse_now(), std::memory_order_relaxed);
      const bool came = socket().wait_to_receive(deadline_at(limit));
      silence_->store(0, std::memory_order_relaxed);
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
