/// \file
/// `net.server:counters`, internal: what a server counts.
module net.server:counters;

import net.standard;
import net.handler;

namespace net {

// How a connection ended; each has its counter in `Stats`.
enum class Outcome : std::uint8_t {
  none,
  served,
  closed_idle,
  shed,
  rejected,
  evicted,
  greedy,
  timed_out,
  failed,
  cut,
  dropped,
  refused,
};
inline constexpr std::size_t outcomes = static_cast<std::size_t>(Outcome::refused) + 1;

// What children count too.
struct SharedCounters {
  std::atomic<std::uint64_t> requests{0}, handler_errors{0}, hook_errors{0}, peer_gone{0},
      time_outs{0}, replies{0}, replies_dropped{0};
};

// Counts events, each of which is over when it is counted. From any thread.
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

  // Writes them into the members of `stats` that tell of events.
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
  Counter accepted_{0};
  Counter accept_errors_{0};
  Counter policy_errors_{0};
};

}  // namespace net
