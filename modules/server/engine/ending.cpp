module;

#include <sys/socket.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;

// How a connection ends: a part of net.server:connection.

namespace net {

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
  ending_ = Outcome::failed;
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
    if (phase_ == Phase::receive && reader_.request_since() == 0 && !is_owed()) {
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
  const bool input_ended = silence_.input_ended() && !given_away_;
  service_->closer.close(
      std::move(bare),
      {.peer_ended = stream().ended() && !input_ended && !ends_itself_ && !given_away_,
       .input_ended = input_ended,
       .impolite = outcome == Outcome::timed_out || outcome == Outcome::cut ||
                   (outcome == Outcome::rejected && service_->closer.has_enough()),
       .idle = outcome == Outcome::closed_idle || outcome == Outcome::evicted});
}

void Connection::tell_parent(Outcome outcome) noexcept {
  const Told told(outcome, given_away_);
  service_->children.tell(told);
}

void Connection::end(Outcome outcome) noexcept {
  Service& service = *service_;
  handler_.reset();
  if (service.in_child()) {
    // The parent closes politely, and counts.
    tell_parent(outcome);
    // It has nobody else to serve meanwhile.
    if (given_away_)
      Closer::linger_here(socket(), service.options.linger, service.options.linger_bytes);
    delete this;
    return;
  }
  OwnParkingLot& lot = service.lot;
  service.unlink(*this);
  if (held() != 0 || stream().is_pending()) {
    stream().discard();  // this object may wait to be freed
    note_held(0);
  }
  if (registered) lot.leave(*this);
  if (was_cut()) outcome = Outcome::cut;  // whatever its handler, or its child, made of that
  // One that was evicted amid an answer has failed for that.
  const bool ended_by_that = outcome == Outcome::served || outcome == Outcome::closed_idle ||
                             outcome == Outcome::failed || outcome == Outcome::timed_out;
  if (ended_by_that && silence_.was_evicted()) outcome = Outcome::evicted;
  close(outcome);
  service.counters.ended(outcome);
  if (entered) {
    lot.retire(this);
  } else {
    delete this;
  }
  service.gone();
}

}  // namespace net
