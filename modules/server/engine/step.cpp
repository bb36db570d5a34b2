module;

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;
import :poller;

// How a connection is served: the steps of net.server:connection.

namespace net {
namespace {

constexpr int requests_in_a_row = 16;

thread_local const RunningMark* running_here = nullptr;

}  // namespace

RunningMark::RunningMark(const Service& service) noexcept
    : service_(&service), outer_(std::exchange(running_here, this)) {}

RunningMark::~RunningMark() { running_here = outer_; }

bool RunningMark::is_set(const Service& service) noexcept {
  for (const RunningMark* mark = running_here; mark != nullptr; mark = mark->outer_) {
    if (mark->service_ == &service) return true;
  }
  return false;
}

// --- one step --------------------------------------------------------------------------------
//
// Most steps serve one small request: it arrived whole, nothing was pending or had expired, and the
// answer is sent at once. That path is straight; what is rare is in functions of its own.

Next Connection::step() noexcept {
  if (!leave_queue()) return Next::close;
  const RunningMark mark(*service_);
  try {
    Prepared prepared = Prepared::gone;
    if (only_reads()) [[likely]] {
      prepared = prepare_request(true);
      if (prepared == Prepared::handler) [[likely]] {
        return handle_requests();
      }
    } else {
      prepared = prepare_or_throw(true);
      if (prepared == Prepared::handler) {
        if (reader_.reads_one()) return converse();
        return more_ ? handle_more() : handle_requests();
      }
    }
    return prepared == Prepared::later ? Next::keep : Next::close;
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
  if (received_) return verify() ? Prepared::handler : Prepared::gone;
  phase_ = Phase::receive;
  if (expired_ != Outcome::none) return end_expired(may_finish);
  if (stream().is_pending()) {
    if (!stream().flush_now()) {
      ready_ = stream().takes_more();
      return Prepared::later;
    }
    ready_ = true;
    progress_.over();
    reader_.restart_clock(coarse_now());
  }
  if (ending_ != Outcome::none) {
    end(ending_);
    return Prepared::gone;
  }
  if (more_) {
    // A handler that writes nothing would not learn of it.
    if (was_cut()) return finish_and_end(Outcome::cut, may_finish);
    // What woke it may be another thing than room.
    if (reader_.kind() != RequestReader::Kind::raw || has_room()) return Prepared::handler;
    ready_ = false;
    return Prepared::later;
  }
  if (conversation()) return Prepared::handler;
  return prepare_request(may_finish);
}

[[gnu::always_inline]] Connection::Prepared Connection::prepare_request(bool may_finish) {
  phase_ = Phase::receive;
  switch (reader_.look(handler_ != nullptr)) {
    case RequestReader::Found::whole: return Prepared::handler;
    case RequestReader::Found::end: return finish_and_end(Outcome::served, may_finish);
    case RequestReader::Found::partial: break;
  }
  ready_ = false;
  if (service_->draining() && handler_ && ends_in_drain()) [[unlikely]] {
    return finish_and_end(Outcome::served, may_finish);
  }
  return Prepared::later;
}

// A limit has passed, or its place or its memory is needed. What it waited for may have come in
// time, while this process was stopped or busy with others.
Connection::Prepared Connection::end_expired(bool may_finish) {
  const Outcome outcome = std::exchange(expired_, Outcome::none);
  if (outcome == Outcome::timed_out && is_owed() && client_takes_some(coarse_now())) {
    ready_ = false;
    return Prepared::later;
  }
  if (outcome != Outcome::cut && has_come()) {
    silence_.spare();
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

[[gnu::noinline]] Connection::Prepared Connection::finish_and_end(Outcome outcome,
                                                                  bool may_finish) {
  if (handler_ && !may_finish) return Prepared::handler;
  if (!finish() && outcome == Outcome::served) outcome = Outcome::failed;
  if (outcome == Outcome::served && !given_away_ && !stream().flush_now()) {
    ending_ = outcome;
    ready_ = stream().takes_more();
    return Prepared::later;
  }
  end(outcome);
  return Prepared::gone;
}

// What a parked connection waited for: that its client takes its answer, a request, or the rest of
// one.
bool Connection::has_come() {
  if (stream().is_pending()) return stream().flush_now();
  if (more_) return false;
  if (reader_.request_since() == 0) return something_arrived();
  // The end of the stream is ours then, and makes no request of half a one.
  if (silence_.was_ended()) return false;
  return reader_.look(handler_ != nullptr) == RequestReader::Found::whole;
}

// While the server drains, busy clients are kept for the quiet grace only: those who send their
// next request as soon as they have an answer would be cut amid one at the deadline. Without
// framing it is not known where a request ends, so there only a silence is an end.
bool Connection::ends_in_drain() const noexcept {
  const bool between_requests =
      reader_.kind() == RequestReader::Kind::framed && reader_.request_since() == 0 && !is_owed();
  return between_requests && coarse_now() >= coarse_after(service_->draining_since(),
                                                          service_->options.quiet_grace.count());
}

bool Connection::has_room() noexcept {
  pollfd polled{socket().fileno(), POLLOUT, 0};
  return ::poll(&polled, 1, 0) != 0;
}

bool Connection::something_arrived() noexcept {
  std::byte one{};
  return ::recv(socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

[[gnu::noinline]] void Connection::begin() {
  phase_ = Phase::make;
  handler_.reset(service_->maker->make(*this));
  phase_ = Phase::setup;
  handler_->setup();
}

// Calls the handler, under the limits of a request that began then.
[[gnu::always_inline]] Next Connection::call_handler(CoarseTime since) {
  socket().set_deadline(Deadline::never());
  socket().set_receive_deadline(deadline_at(coarse_after(since, limits().request.count())));
  phase_ = Phase::handle;
  const Next decision = handler_->handle();
  phase_ = Phase::receive;
  return decision;
}

// Serves what has arrived whole, some requests in a row. While another one is at hand, answers wait
// for the next, so that pipelined requests cost one send and not one each. Handlers that take their
// time are not called again: others wait for this thread, and the client for its answer.
Next Connection::handle_requests() {
  if (!handler_) begin();
  if (given_away_) return end_given_away();
  for (int left = requests_in_a_row;; --left) {
    stream().set_hold(reader_.to_hold(left == 1));
    const std::size_t before = reader_.before_handler();
    service_->counters.request();
    const Next decision = call_handler(reader_.request_since());
    if (given_away_) return end_given_away();
    const bool at_end = reader_.after_handler(before);
    if (decision != Next::keep || at_end) {
      return decision == Next::more ? go_on_later() : end_served();
    }
    if (left == 1 || !reader_.another_at_hand()) break;
    stream().keep_holding();
  }
  stream().set_hold(BufferedStream::Hold::none);
  return keep();
}

// The connection is kept; once the rest of the answer is sent, if there is one.
[[gnu::always_inline]] Next Connection::keep() {
  if (stream().is_pending() && !stream().flush_now()) [[unlikely]] {
    ready_ = stream().takes_more();
    return Next::keep;
  }
  ready_ = reader_.may_find_more();
  if (!ready_ && service_->draining() && ends_in_drain()) [[unlikely]] {
    // What came while the handler ran is not known from the last receive.
    if (!something_arrived()) return end_served();
    look_again();
  }
  return Next::keep;
}

Next Connection::end_served() {
  return finish_and_end(Outcome::served, true) == Prepared::gone ? Next::close : Next::keep;
}

// The handler goes on when what it has written is sent. One that writes to a bare socket is called
// when that has room.
[[gnu::noinline]] Next Connection::go_on_later() {
  more_ = true;
  stream().set_hold(BufferedStream::Hold::none);
  const bool sent = !stream().is_pending() || stream().flush_now();
  ready_ = sent ? reader_.kind() != RequestReader::Kind::raw : stream().takes_more();
  return Next::keep;
}

[[gnu::noinline]] Next Connection::handle_more() {
  more_ = false;
  progress_.over();
  reader_.forget_following();
  const std::size_t before = reader_.before_handler();
  const Next decision = call_handler(coarse_now());
  if (given_away_) return end_given_away();
  // Most go on writing, and leave alone what follows their request.
  const bool at_end =
      (stream().input().size() != before || stream().received()) && reader_.after_handler(before);
  if (decision == Next::more) return go_on_later();
  if (decision == Next::close || at_end) return end_served();
  reader_.restart_clock(coarse_now());
  return keep();
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
  service_->counters.request();
  phase_ = Phase::handle;
  handler_->handle();
  phase_ = Phase::receive;
  const bool finished = finish();
  if (!given_away_) stream().flush();  // what `wfile` was let collect
  if (finished && received_ && !stream().collected().empty()) {
    received_->reply(stream().collected());
  }
  end(finished || given_away_ ? outcome_of_conversation() : Outcome::failed);
  return Next::close;
}

// One whose input we have ended before its client said anything was asked for nothing.
Outcome Connection::outcome_of_conversation() noexcept {
  const bool ended_by_us = silence_.was_ended() || ends_itself_;
  // A handler of the bare socket may have heard what is not known here.
  const bool unheard =
      conversation() && !given_away_ && service_->maker->reads_ahead() && !stream().received();
  return ended_by_us && unheard ? Outcome::closed_idle : Outcome::served;
}

}  // namespace net
