module;

#include <poll.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <exception>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;
import :poller;

// How a whole connection is served, by whoever waits for its client: a part of
// net.server:connection.

namespace net {

void Connection::run() noexcept {
  for (;;) {
    if (step() == Next::close) return;
    if (!ready_ && !wait_for_more()) return;
  }
}

// For the rest of an answer, or for a handler that goes on with its own.
void Connection::wait_for_room() noexcept {
  const CoarseTime now = coarse_now();
  const CoarseTime limit = limit_of_answer(now);
  silence_.begin_wait(progress_.behind_since(), ClientSilence::Wait::answer);
  pollfd polled{socket().fileno(), POLLOUT, 0};
  const std::int64_t time = std::clamp<std::int64_t>((limit - now) / 1'000'000 + 1, 1, INT_MAX);
  const int ready = ::poll(&polled, 1, static_cast<int>(time));
  silence_.end_wait();
  if (ready == 0 && !client_takes_some(coarse_now())) expire(Outcome::timed_out);
}

bool Connection::wait_for_more() noexcept {
  try {
    if (is_owed()) {
      wait_for_room();
    } else {
      stream().input().shrink();
      const CoarseTime since = reader_.request_since();
      const bool partial = since != 0;
      const CoarseTime limit = partial ? coarse_after(since, limits().request.count())
                                       : coarse_after(coarse_now(), limits().idle.count());
      silence_.begin_wait(partial ? since : coarse_now(),
                          partial ? ClientSilence::Wait::request : ClientSilence::Wait::between);
      if (!partial && silence_.asked_to_end()) end_input();
      const bool came = reader_.polls_in_vain()
                            ? reader_.wait_for_new_bytes(deadline_at(limit))
                            : socket().wait_to_receive(deadline_at(limit)) &&
                                  (!silence_.was_ended() || something_arrived());
      silence_.end_wait();
      if (!came) {
        const bool evicted = partial && silence_.was_ended();
        expire(evicted ? Outcome::evicted : partial ? Outcome::timed_out : Outcome::closed_idle);
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
