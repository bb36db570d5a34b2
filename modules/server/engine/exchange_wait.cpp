module;

#include <exception>

module net.server;

import net.socket;
import net.handler;
import :exchange;
import :running_mark;
import :service;

// How a thread that runs a whole connection waits for its client: a part of net.server:exchange.

namespace net {

bool Exchange::wait() noexcept {
  try {
    if (!owed_.exists()) stream().input().shrink();
    const Awaited now = awaited(coarse_now());
    silence_.begin_wait(now.since, now.what);
    if (now.what == ClientSilence::Wait::answer) {
      const bool room = owed_.wait_for_room(now.limit);
      silence_.end_wait();
      if (!room && !owed_.moves(coarse_now(), limits().send.count())) expire(Outcome::timed_out);
    } else {
      const bool partial = now.what == ClientSilence::Wait::request;
      const Deadline limit = deadline_at(now.limit);
      if (!partial && silence_.asked_to_end()) silence_.end_input();
      const bool came = reader_.polls_in_vain()
                            ? reader_.wait_for_new_bytes(limit)
                            : socket().wait_to_receive(limit) &&
                                  (!silence_.was_ended() || reader_.something_arrived());
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
    const RunningMark mark(service());
    fail(std::current_exception());
    return false;
  }
}

}  // namespace net
