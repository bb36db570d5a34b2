module;

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
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
    } else {
      prepared = prepare_or_throw(true);
    }
    if (prepared != Prepared::handler) {
      return prepared == Prepared::later ? Next::keep : Next::close;
    }
    return reader_.reads_one() ? converse() : handle_requests();
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
  if (received_) return verify() ? Prepared::handler : Prepared::gone;
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
  switch (reader_.look(handler_ != nullptr)) {
    case RequestReader::Found::whole: return Prepared::handler;
    case RequestReader::Found::end: return finish_and_end(Outcome::served, may_finish);
    case RequestReader::Found::partial: break;
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
  } else if (outcome == Outcome::timed_out) {
    // The rest may have come in time, while this process was stopped or busy with others.
    ready_ = true;
    if (reader_.look(handler_ != nullptr) == RequestReader::Found::whole) return Prepared::handler;
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

// Calls the handler, under the limits of the request in hand.
[[gnu::always_inline]] Next Connection::call_handler() {
  socket().set_deadline(Deadline::never());
  socket().set_receive_deadline(
      deadline_at(coarse_after(reader_.request_since(), limits().request.count())));
  service_->counters.request();
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
    const auto before = reader_.before_handler();
    const Next decision = call_handler();
    if (given_away_) return end_given_away();
    const bool at_end = reader_.after_handler(before);
    if (decision == Next::close || at_end) {
      return finish_and_end(Outcome::served, true) == Prepared::gone ? Next::close : Next::keep;
    }
    if (left == 1 || !reader_.another_at_hand()) break;
    stream().keep_holding();
  }
  stream().set_hold(BufferedStream::Hold::none);
  if (stream().pending() > 0 && !stream().flush_now()) {
    ready_ = false;
    return Next::keep;
  }
  ready_ = reader_.may_find_more();
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
  service_->counters.request();
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

bool Connection::wait_for_more() noexcept {
  try {
    if (stream().pending() > 0) {
      stream().flush();
    } else {
      stream().input().shrink();
      const CoarseTime since = reader_.request_since();
      const bool partial = since != 0;
      const CoarseTime limit = partial ? coarse_after(since, limits().request.count())
                                       : coarse_after(coarse_now(), limits().idle.count());
      if (!partial) {
        silence_->between.store(coarse_now(), std::memory_order_relaxed);
        if (asked_to_end_.load()) end_input();
      }
      const bool came = reader_.polls_in_vain()
                            ? reader_.wait_for_new_bytes(deadline_at(limit))
                            : socket().wait_to_receive(deadline_at(limit)) &&
                                  (silence_->ended.load() == 0 || something_arrived());
      silence_->between.store(0, std::memory_order_relaxed);
      if (!came) {
        expire(partial ? Outcome::timed_out : Outcome::closed_idle);
      }
      socket().forget_receives();
    }
    ready_ = true;
    return true;
  } catch (...) {
    const RunningMark mark(*service_);
    fail(std::current_exception());
    return false;
  }
}

}  // namespace net
