module;

#include <atomic>
#include <cstddef>
#include <cstdint>

module net.server;

import net.handler;
import :counters;

namespace net {

void Counters::read_into(Stats& stats) const noexcept {
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  const auto ended_as = [&](Outcome outcome) {
    return value(outcomes_[static_cast<std::size_t>(outcome)]);
  };
  stats.served = ended_as(Outcome::served);
  stats.closed_idle = ended_as(Outcome::closed_idle);
  stats.shed_waiting = ended_as(Outcome::shed);
  stats.shed_rejected = ended_as(Outcome::rejected);
  stats.shed_evicted = ended_as(Outcome::evicted);
  stats.shed_greedy = ended_as(Outcome::greedy);
  stats.shed = stats.shed_waiting + stats.shed_rejected + stats.shed_evicted + stats.shed_greedy;
  stats.timed_out = ended_as(Outcome::timed_out);
  stats.failed = ended_as(Outcome::failed);
  stats.cut = ended_as(Outcome::cut);
  stats.dropped = ended_as(Outcome::dropped);
  stats.refused = ended_as(Outcome::refused);
  stats.accepted = value(accepted_);
  stats.accept_errors = value(accept_errors_);
  stats.policy_errors = value(policy_errors_);
  stats.requests = value(shared_.requests);
  stats.handler_errors = value(shared_.handler_errors);
  stats.hook_errors = value(shared_.hook_errors);
  stats.peer_gone = value(shared_.peer_gone);
  stats.time_outs = value(shared_.time_outs);
  stats.replies = value(shared_.replies);
  stats.replies_dropped = value(shared_.replies_dropped);
}

}  // namespace net
