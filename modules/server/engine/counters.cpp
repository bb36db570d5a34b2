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
  // Children may have written anything there: what no server has ever counted is left out.
  const auto sum = [&](Counter SharedCounters::* counter) {
    constexpr std::uint64_t most = std::uint64_t{1} << 48U;
    const std::uint64_t of_children = value(of_children_.*counter);
    return value(own_.*counter) + (of_children < most ? of_children : 0);
  };
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
  stats.requests = sum(&SharedCounters::requests);
  stats.handler_errors = sum(&SharedCounters::handler_errors);
  stats.hook_errors = sum(&SharedCounters::hook_errors);
  stats.peer_gone = sum(&SharedCounters::peer_gone);
  stats.time_outs = sum(&SharedCounters::time_outs);
  stats.replies = sum(&SharedCounters::replies);
  stats.replies_dropped = sum(&SharedCounters::replies_dropped);
}

}  // namespace net
