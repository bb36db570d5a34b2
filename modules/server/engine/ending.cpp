module;

#include <sys/socket.h>

#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "probes.hpp"

module net.server;

import net.socket;
import net.handler;
import :connection;
import :request_log;
import :running_mark;
import :service;

// How a connection ends: a part of net.server:connection.

namespace net {

void Connection::end_unwatched() noexcept {
  const RunningMark mark(service());
  service().hooks.connection_failed({Phase::receive, std::current_exception(), client_address()});
  end(Outcome::dropped);
}

void Connection::drop() noexcept {
  if (!leave_queue()) return;
  const RunningMark mark(service());
  handler().finish();
  end(Outcome::dropped);
}

void Connection::reject(Outcome why) noexcept {
  if (!leave_queue()) return;
  const RunningMark mark(service());
  handler().finish();
  NETSERVE_PROBE2(overload, this, static_cast<int>(why));
  const std::string answer = service().hooks.overload_answer(client_address());
  // The answer is sent with one non-blocking call, so it may be truncated: rejecting a client must
  // cost next to nothing.
  if (received_) {
    try {
      if (!answer.empty()) received_->reply(bytes(answer));
    } catch (const std::system_error&) {
      // Then the client gets no answer.
    }
    end(why);
    return;
  }
  if (!answer.empty()) {
    ::send(socket().fileno(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } else if (why != Outcome::rejected) {
    owed_nothing_ = true;  // the server does not wait for a client that floods it
  }
  end(why);
}

void Connection::close(Outcome outcome) noexcept {
  Socket& bare = socket();
  bare.set_watch(nullptr);
  if (received_ || bare.fileno() < 0) return;
  // The stream also ends if the server itself has ended the input. Neither end concerns a socket
  // that the handler has put in the place of the connection's.
  const bool input_ended = silence().input_ended() && !given_away();
  service().closer.close(
      std::move(bare),
      {.peer_ended = stream().ended() && !input_ended && !silence().ends_itself() && !given_away(),
       .input_ended = input_ended,
       .impolite = (outcome == Outcome::timed_out && !said_last_word()) ||
                   outcome == Outcome::cut || outcome == Outcome::not_introduced || owed_nothing_ ||
                   (is_rejection(outcome) && service().closer.has_enough()),
       .idle = outcome == Outcome::closed_idle || outcome == Outcome::evicted});
}

void Connection::tell_parent(Outcome outcome) noexcept {
  const Told told(outcome, given_away(), said_last_word());
  service().children.tell(told);
}

void Connection::tell_requests(Outcome outcome) noexcept {
  RequestLog* const log = handler().log();
  if (log == nullptr) return;
  if (received_) log->replied(received_->replied());
  const RunningMark mark(service());
  handler().tell_over(outcome);
}

void Connection::end(Outcome outcome) noexcept {
  Service& service = this->service();
  handler().forget();
  if (service.in_child()) {
    tell_requests(outcome);
    // The parent closes the connection without losing the answer, and counts the outcome.
    tell_parent(outcome);
    // This child has no other client to serve, so it may wait here.
    if (given_away())
      Closer::linger_here(socket(), service.options.linger, service.options.linger_bytes);
    return;  // not deleted: until this process ends, its signal handler may use the connection
  }
  OwnParkingLot& lot = service.lot;
  service.unlink(*this);
  if (in_lot.registered) lot.leave(*this);
  if (was_cut()) outcome = Outcome::cut;  // even if the handler or child reported another outcome
  // An eviction may cause any of these: in the middle of an answer, for example, `failed`.
  const bool ended_by_that = outcome == Outcome::served || outcome == Outcome::closed_idle ||
                             outcome == Outcome::failed || outcome == Outcome::timed_out;
  if (ended_by_that && silence().was_evicted()) outcome = Outcome::evicted;
  tell_requests(outcome);
  if (held() != 0 || stream().is_pending()) {
    stream().discard();  // this object may be freed much later
    note_held(0);
  }
  // Do this before the close: a client that sees the close may reconnect at once.
  client_place_.leave();
  if (service.hooks.called().on_close && !received_) {
    const RunningMark mark(service);
    service.hooks.closed(
        {.client_address = client_address(), .proxy_address = proxy_address(), .outcome = outcome});
  }
  NETSERVE_PROBE2(close, this, static_cast<int>(outcome));
  close(outcome);
  service.counters.ended(outcome);
  if (in_lot.entered) {
    lot.retire(this);
  } else {
    delete this;
  }
  service.gone();
}

}  // namespace net
