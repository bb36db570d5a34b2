/// \file
/// `net.server:custody`, internal: who may touch a connection.
module net.server:custody;

import net.standard;
import :coarse_clock;

namespace net {

// A connection is run by its owner (a policy, or the thread that accepts or ends it), or it is
// parked. Only its owner touches it, but for what says otherwise, and only its owner closes its
// descriptor. It changes hands by one compare-exchange, and the loser does nothing:
//
//     running ── park ─▶ parked ── claim, event ─▶ running
//     running ── event ─▶ running_more          a park fails then, once
class Custody {
 public:
  enum class State : std::uint8_t { running, running_more, parked };

  inline State state() const noexcept { return state_.load(std::memory_order_acquire); }
  inline bool parked() const noexcept { return state() == State::parked; }

  // For who runs it. False if an event came meanwhile: what it told is not known to be seen to, so
  // it runs on.
  inline bool park() noexcept {
    State expected = State::running;
    if (state_.compare_exchange_strong(expected, State::parked, std::memory_order_acq_rel))
        [[likely]] {
      return true;
    }
    state_.exchange(State::running, std::memory_order_acq_rel);
    return false;
  }
  // For a new one, which nobody else has met.
  inline void begin_parked() noexcept { state_.store(State::parked, std::memory_order_release); }

  // For anyone: takes it if it is parked.
  inline bool claim() noexcept {
    State expected = State::parked;
    return state_.compare_exchange_strong(expected, State::running, std::memory_order_acq_rel);
  }
  // Takes it if it is parked; else its owner learns that something came.
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

// While it is parked, or waits in the queue of a policy: anybody may read it.
struct ParkTimes {
  std::atomic<CoarseTime> limit{0};
  // Since when the client has kept its place for nothing: has been silent, has had a request that
  // is not whole, or has been behind with its answer.
  std::atomic<CoarseTime> since{0};
  std::atomic<bool> idle{true};  // between two requests
};

}  // namespace net
