/// \file
/// `net.server:custody`, internal: which thread may touch a connection.
module net.server:custody;

import net.standard;
import :coarse_clock;

namespace net {

// A connection is run by its owner (a policy, or the thread that accepts or ends it), or it is
// parked. Only its owner touches it, except for the members that say otherwise, and only its owner
// closes its descriptor. The owner changes by one compare-exchange. A thread that loses that
// exchange does nothing:
//
//     running ── park ─▶ parked ── claim, event ─▶ running
//     running ── event ─▶ running_more          a park fails then, once
class Custody {
 public:
  enum class State : std::uint8_t { running, running_more, parked };

  inline State state() const noexcept { return state_.load(std::memory_order_acquire); }
  inline bool parked() const noexcept { return state() == State::parked; }

  // For the owner. Returns false if an event came while the connection ran: it is not known whether
  // that event has been handled, so the connection goes on running.
  inline bool park() noexcept {
    State expected = State::running;
    if (state_.compare_exchange_strong(expected, State::parked, std::memory_order_acq_rel))
        [[likely]] {
      return true;
    }
    state_.exchange(State::running, std::memory_order_acq_rel);
    return false;
  }
  // For a new connection, which no other thread knows.
  inline void begin_parked() noexcept { state_.store(State::parked, std::memory_order_release); }

  // From any thread: takes the connection if it is parked.
  inline bool claim() noexcept {
    State expected = State::parked;
    return state_.compare_exchange_strong(expected, State::running, std::memory_order_acq_rel);
  }
  // From any thread: takes the connection if it is parked. Otherwise its owner learns of the event.
  inline bool event() noexcept {
    State seen = state();
    for (;;) {
      if (seen == State::parked) {
        if (claim()) return true;
        seen = state();
      } else if (state_.compare_exchange_weak(seen, State::running_more,
                                              std::memory_order_acq_rel)) {
        return false;
      }
    }
  }

 private:
  std::atomic<State> state_{State::running};
};

// The times of a parked connection. Any thread may read them.
struct ParkTimes {
  std::atomic<CoarseTime> limit{0};
  // Since when the client has held its slot without progress: it has been silent, has sent only
  // part of a request, or has been slow to take an answer.
  std::atomic<CoarseTime> since{0};
  std::atomic<bool> idle{true};  // between two requests
};

}  // namespace net
