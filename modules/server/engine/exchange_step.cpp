module;

#include <poll.h>

#include <cstddef>
#include <exception>
#include <utility>

#include "probes.hpp"

module net.server;

import net.socket;
import net.handler;
import :exchange;
import :service;
import :poller;

// How requests are served: the steps of net.server:exchange.

namespace net {
namespace {

constexpr int requests_in_a_row = 16;

bool has_room(const Socket& socket) noexcept {
  pollfd polled{socket.fileno(), POLLOUT, 0};
  return ::poll(&polled, 1, 0) != 0;
}

}  // namespace

// Most steps serve one small request: it has arrived whole, nothing was pending or had expired, and
// the answer is sent at once. The code of that path is straight; rare cases are in functions of
// their own.

Next Exchange::step() noexcept {
  try {
    Prepared prepared = Prepared::over;
    const bool only_reads = !reader_.reads_one() && expired_ == Outcome::none &&
                            ending_ == Outcome::none && !owed_.exists();
    if (only_reads) [[likely]] {
      prepared = prepare_request(true);
      if (prepared == Prepared::handler) [[likely]] {
        return handle_requests();
      }
    } else {
      prepared = prepare_or_throw(true);
      if (prepared == Prepared::handler) {
        if (reader_.reads_one()) return converse();
        return owed_.goes_on() ? handle_more() : handle_requests();
      }
    }
    return prepared == Prepared::later ? Next::keep : Next::close;
  } catch (...) {
    fail(std::current_exception());
    return Next::close;
  }
}

Exchange::Prepared Exchange::prepare() noexcept {
  try {
    return prepare_or_throw(false);
  } catch (...) {
    fail(std::current_exception());
    return Prepared::over;
  }
}

[[gnu::noinline]] Exchange::Prepared Exchange::prepare_or_throw(bool may_finish) {
  if (datagram() != nullptr) {
    ended_ = handler_.verify();
    return ended_ == Outcome::none ? Prepared::handler : Prepared::over;
  }
  handler_.receive();
  if (expired_ != Outcome::none) return end_expired(may_finish);
  if (stream().is_pending()) {
    if (!owed_.send_now()) {
      ready_ = stream().takes_more();
      return Prepared::later;
    }
    ready_ = true;
    handler_.answered();
    reader_.restart_clock(coarse_now());
  }
  if (ending_ != Outcome::none) {
    ended_ = ending_;
    return Prepared::over;
  }
  if (owed_.goes_on()) {
    // A handler that writes nothing would not notice the cut.
    if (was_cut()) return finish_and_end(Outcome::cut, may_finish);
    // The connection may have been woken up by an event other than free buffer space.
    if (reader_.kind() != RequestReader::Kind::raw || has_room(socket())) return Prepared::handler;
    ready_ = false;
    return Prepared::later;
  }
  if (conversation()) return Prepared::handler;
  return prepare_request(may_finish);
}

[[gnu::always_inline]] Exchange::Prepared Exchange::prepare_request(bool may_finish) {
  handler_.receive();
  switch (reader_.look(static_cast<bool>(handler_))) {
    case RequestReader::Found::whole: return Prepared::handler;
    case RequestReader::Found::end: return finish_and_end(Outcome::served, may_finish);
    case RequestReader::Found::partial: break;
  }
  ready_ = false;
  if (service().draining() && handler_ && ends_in_drain()) [[unlikely]] {
    return finish_and_end(Outcome::served, may_finish);
  }
  return Prepared::later;
}

// A deadline has expired, or the slot or the memory of this connection is needed. But the awaited
// event may have happened in time, while this process was stopped or busy with other connections.
Exchange::Prepared Exchange::end_expired(bool may_finish) {
  const Outcome outcome = std::exchange(expired_, Outcome::none);
  if (outcome == Outcome::timed_out && owed_.exists() &&
      owed_.moves(coarse_now(), limits().send.count())) {
    ready_ = false;
    return Prepared::later;
  }
  bool come = false;
  if (outcome != Outcome::cut && stream().is_pending()) {
    come = owed_.send_now();
    if (come) {
      handler_.answered();
      reader_.restart_clock(coarse_now());
    }
  } else if (outcome != Outcome::cut && !owed_.goes_on()) {
    come = reader_.has_come(static_cast<bool>(handler_), silence_.was_ended());
  }
  if (come) {
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

[[gnu::noinline]] Exchange::Prepared Exchange::finish_and_end(Outcome outcome, bool may_finish) {
  if (handler_ && !may_finish) return Prepared::handler;
  if (outcome != Outcome::served) ending_ = outcome;
  const bool finished = handler_.finish() || given_away_;
  if (!finished && outcome == Outcome::served) ending_ = outcome = Outcome::failed;
  // The client gets what was collected or held. The server waits for a slow client only if nothing
  // went wrong.
  if (outcome == Outcome::served && !given_away_ && !stream().flush_now()) {
    ending_ = outcome;
    ready_ = stream().takes_more();
    return Prepared::later;
  }
  const bool gets_the_rest = outcome != Outcome::served && outcome != Outcome::cut;
  if (gets_the_rest && !given_away_) send_before_release();
  ended_ = outcome;
  return Prepared::over;
}

// While the server drains, busy clients are kept for the quiet grace only. Otherwise a client that
// sends each request right after the last answer would be cut within a request at the deadline.
// Without framing, the end of a request is unknown, so only silence ends the connection.
bool Exchange::ends_in_drain() const noexcept {
  const bool between_requests = reader_.kind() == RequestReader::Kind::framed &&
                                reader_.request_since() == 0 && !owed_.exists();
  return between_requests && coarse_now() >= coarse_after(service().draining_since(),
                                                          service().options.quiet_grace.count());
}

// Serves requests that have arrived whole, several in a row. If another one has arrived already,
// the answer is held for the next one, so that pipelined requests share one send. A slow handler is
// not called again in this row: other connections wait for this thread, and the client for its
// answer.
Next Exchange::handle_requests() {
  handler_.begin(reader_.request_since());
  if (given_away_) return end_served();
  for (int left = requests_in_a_row;; --left) {
    stream().set_hold(reader_.to_hold(left == 1));
    const std::size_t before = reader_.before_handler();
    NETSERVE_PROBE2(request_begin, socket().fileno(), this);
    const Next decision = handler_.handle(reader_.request_since());
    NETSERVE_PROBE2(request_end, socket().fileno(), this);
    if (given_away_) return end_served();
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

// Keeps the connection. The rest of the answer, if any, must be sent before the next request.
[[gnu::always_inline]] Next Exchange::keep() {
  if (stream().is_pending() && !stream().flush_now()) [[unlikely]] {
    ready_ = stream().takes_more();
    return Next::keep;
  }
  handler_.answered();
  ready_ = reader_.may_find_more();
  if (!ready_ && service().draining() && ends_in_drain()) [[unlikely]] {
    // The last receive does not show what arrived while the handler ran.
    if (!reader_.something_arrived()) return end_served();
    look_again();
  }
  return Next::keep;
}

Next Exchange::end_served() {
  return finish_and_end(Outcome::served, true) == Prepared::over ? Next::close : Next::keep;
}

// The handler continues when its output has been sent. A handler that writes to the bare socket
// continues when the socket has buffer space: at once if there is some now, because no event would
// follow.
[[gnu::noinline]] Next Exchange::go_on_later() {
  owed_.go_on();
  stream().set_hold(BufferedStream::Hold::none);
  const bool sent = !stream().is_pending() || stream().flush_now();
  if (sent) handler_.answered();
  const bool raw = reader_.kind() == RequestReader::Kind::raw;
  ready_ = sent ? !raw || has_room(socket()) : stream().takes_more();
  return Next::keep;
}

[[gnu::noinline]] Next Exchange::handle_more() {
  owed_.resume();
  reader_.forget_following();
  const std::size_t input_before = stream().input().size();
  const std::size_t before = reader_.before_handler();
  const Next decision = handler_.handle_more(coarse_now());
  if (given_away_) return end_served();
  // Most handlers only write, and read nothing after their request.
  const bool has_read = stream().input().size() != input_before || stream().received();
  const bool at_end = has_read && reader_.after_handler(before);
  if (decision == Next::more) return go_on_later();
  if (decision == Next::close || at_end) return end_served();
  reader_.restart_clock(coarse_now());
  // If bytes have arrived at a bare socket meanwhile, no further event reports them.
  if (reader_.kind() != RequestReader::Kind::raw) return keep();
  reader_.after_raw_more();
  handler_.answered();
  look_again();
  return Next::keep;
}

Next Exchange::converse() {
  handler_.begin(0);
  if (given_away_) return end_served();
  NETSERVE_PROBE2(request_begin, socket().fileno(), this);
  handler_.handle();
  NETSERVE_PROBE2(request_end, socket().fileno(), this);
  const bool finished = handler_.finish();
  if (!given_away_) stream().flush();  // what `wfile` has collected
  if (finished && datagram() != nullptr && !stream().collected().empty()) {
    datagram()->reply(stream().collected());
  }
  // If the server ended the input before the client sent anything, the connection was idle. With a
  // bare socket, it is unknown here whether the handler received anything.
  const bool ended_by_us = silence_.was_ended() || silence_.ends_itself();
  const bool unheard =
      conversation() && !given_away_ && service().maker->reads_ahead() && !stream().received();
  ended_ = !finished && !given_away_ ? Outcome::failed
           : ended_by_us && unheard  ? Outcome::closed_idle
                                     : Outcome::served;
  return Next::close;
}

}  // namespace net
