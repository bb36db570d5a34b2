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

bool Connection::wait_for_more() noexcept {
  try {
    if (stream().is_pending()) {
      // No worker waits here, so the time is not limited in all.
      stream().set_answer_limit({});
      socket().set_deadline(Deadline::never());
      stream().flush();
      stream().set_answer_limit(limits().answer);
    } else if (more_) {
      pollfd polled{socket().fileno(), POLLOUT, 0};
      const auto limit = std::min<std::int64_t>(limits().send.count(), INT_MAX);
      if (::poll(&polled, 1, static_cast<int>(limit)) == 0) expire(Outcome::timed_out);
    } else {
      stream().input().shrink();
      const CoarseTime since = reader_.request_since();
      const bool partial = since != 0;
      const CoarseTime limit = partial ? coarse_after(since, limits().request.count())
                                       : coarse_after(coarse_now(), limits().idle.count());
      silence_.begin_wait(partial ? since : coarse_now(), partial);
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
