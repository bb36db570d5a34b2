module;

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

module net.server;

import net.handler;
import :counters;

namespace net {

namespace {

// The bounds of RequestTimes in nanoseconds: each is a whole number of microseconds.
constexpr auto bounds = [] {
  std::array<std::uint64_t, RequestTimes::bounds.size()> all{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    // Half a microsecond is added before the conversion truncates, because most bounds are not
    // exact in binary.
    all[i] = static_cast<std::uint64_t>((RequestTimes::bounds[i] + 0.5e-6) * 1e6) * 1000;
  }
  return all;
}();

}  // namespace

std::uint64_t Counters::sum(const Counter& own, const Counter& of_children,
                            std::uint64_t most) noexcept {
  const std::uint64_t theirs = of_children.load(std::memory_order_relaxed);
  return own.load(std::memory_order_relaxed) + (theirs < most ? theirs : 0);
}

void Counters::took(std::chrono::nanoseconds time) noexcept {
  const auto nanoseconds = static_cast<std::uint64_t>(time.count());
  const auto kind = std::ranges::lower_bound(bounds, nanoseconds) - bounds.begin();
  add(here_->took[static_cast<std::size_t>(kind)]);
  here_->took_in_all.fetch_add(nanoseconds, std::memory_order_relaxed);
}

RequestTimes Counters::request_times() const noexcept {
  RequestTimes times;
  for (std::size_t i = 0; i < times.counts.size(); ++i) {
    times.counts[i] = sum(own_.took[i], of_children_.took[i], std::uint64_t{1} << 48U);
  }
  times.sum = static_cast<double>(
                  sum(own_.took_in_all, of_children_.took_in_all, std::uint64_t{1} << 62U)) /
              1e9;
  return times;
}

void Counters::read_into(Stats& stats) const noexcept {
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  const auto sum = [this](Counter SharedCounters::* counter) {
    return this->sum(own_.*counter, of_children_.*counter, std::uint64_t{1} << 48U);
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
  stats.shed_too_many = ended_as(Outcome::too_many);
  stats.shed_too_fast = ended_as(Outcome::too_fast);
  stats.shed = stats.shed_waiting + stats.shed_rejected + stats.shed_evicted + stats.shed_greedy +
               stats.shed_too_many + stats.shed_too_fast;
  stats.timed_out = ended_as(Outcome::timed_out);
  stats.failed = ended_as(Outcome::failed);
  stats.cut = ended_as(Outcome::cut);
  stats.dropped = ended_as(Outcome::dropped);
  stats.refused = ended_as(Outcome::refused);
  stats.not_introduced = ended_as(Outcome::not_introduced);
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
