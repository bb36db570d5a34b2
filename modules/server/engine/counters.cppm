/// \file
/// `net.server:counters`, internal: the counters of a server.
module net.server:counters;

import net.standard;
import net.handler;
import :hooks;

namespace net {

inline constexpr std::size_t outcomes = static_cast<std::size_t>(Outcome::not_introduced) + 1;

// Returns whether a connection with this outcome got the answer of `on_overload`.
constexpr bool is_rejection(Outcome outcome) noexcept {
  return outcome == Outcome::rejected || outcome == Outcome::too_many ||
         outcome == Outcome::too_fast;
}

// The events that children count too.
struct SharedCounters {
  std::atomic<std::uint64_t> requests{0}, handler_errors{0}, hook_errors{0}, peer_gone{0},
      time_outs{0}, replies{0}, replies_dropped{0};
  // The counts of RequestTimes, and the sum of all these times in nanoseconds.
  std::array<std::atomic<std::uint64_t>, RequestTimes::bounds.size() + 1> took{};
  std::atomic<std::uint64_t> took_in_all{0};
};

// Counts the events of a server. May be used from any thread.
class Counters {
 public:
  explicit Counters(SharedCounters& of_children) noexcept : of_children_(of_children) {}

  // In a child: counts in the memory that it shares with the server.
  void count_for_parent() noexcept { here_ = &of_children_; }

  inline void accepted() noexcept { add(accepted_); }
  inline void accept_error() noexcept { add(accept_errors_); }
  inline void policy_error() noexcept { add(policy_errors_); }
  inline void ended(Outcome outcome) noexcept { add(outcomes_[static_cast<std::size_t>(outcome)]); }
  inline void request() noexcept { add(here_->requests); }
  inline void handler_error() noexcept { add(here_->handler_errors); }
  inline void hook_error() noexcept { add(here_->hook_errors); }
  inline void peer_gone() noexcept { add(here_->peer_gone); }
  inline void time_out() noexcept { add(here_->time_outs); }
  inline void reply() noexcept { add(here_->replies); }
  inline void reply_dropped() noexcept { add(here_->replies_dropped); }

  // Turns on the timing of requests, which costs two readings of the clock for each request.
  void time_requests() noexcept { times_.store(true, std::memory_order_relaxed); }
  bool times_requests() const noexcept { return times_.load(std::memory_order_relaxed); }
  void took(std::chrono::nanoseconds time) noexcept;
  RequestTimes request_times() const noexcept;

  // Writes the counts into the members of `stats` that count events.
  void read_into(Stats& stats) const noexcept;

 private:
  using Counter = std::atomic<std::uint64_t>;
  static inline void add(Counter& counter) noexcept {
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  SharedCounters own_;
  SharedCounters& of_children_;
  SharedCounters* here_ = &own_;
  std::array<Counter, outcomes> outcomes_{};
  // Adds both counts. Children may have written anything, so their count is left out if it is
  // `most` or more, which no server can have counted.
  static std::uint64_t sum(const Counter& own, const Counter& of_children,
                           std::uint64_t most) noexcept;

  std::atomic<bool> times_{false};
  Counter accepted_{0};
  Counter accept_errors_{0};
  Counter policy_errors_{0};
};

}  // namespace net
