/// \file
/// `net.server:reaper`, internal: which connections must end, and when.
module net.server:reaper;

import net.standard;
import :connection;
import :due_timer;
import :options;
import :poller;
import :registry;

namespace net {

// Finds the connections whose limits have passed, that are silent while the server drains, or whose
// place is needed, and ends their input or takes them. What it took is a list, linked by
// `next_retired`, of connections that are the caller's and marked with how they end: handlers and
// hooks may run in that end, so it comes without the lock. On the serving thread, but for the two
// that say otherwise.
class Reaper {
 public:
  Reaper(Registry& registry, DueTimer& timer, const ServerOptions& options) noexcept
      : registry_(registry), timer_(timer), options_(options) {}
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Takes those whose limits have passed. If there are many, it leaves some for the next time, so
  // that the serving thread polls in between.
  Connection* take_expired(CoarseTime now) noexcept;

  // Whether connections in the queues of policies have waited for too long, since the last look.
  bool take_queues_overdue() noexcept { return std::exchange(queues_overdue_, false); }

  // The server drains from now on. From any thread.
  void begin_drain(CoarseTime now) noexcept { drain_since_.store(now); }
  // Ends the input of those that have been silent for the quiet grace. From any thread.
  void end_silent(CoarseTime now) noexcept;
  // Takes those that are silent between requests for that long; once the drain's time is over, all
  // that nobody runs.
  Connection* take_quiet(CoarseTime now) noexcept;
  void drain_is_over() noexcept { drain_is_over_ = true; }
  // Cuts all that are being run.
  void cut_running() noexcept;

  // Has the one that has been silent for longest end, unless one that was told so is still leaving.
  // For a new connection, one that is parked goes as well: that one is taken.
  Connection* evict_for_newcomer() noexcept;
  // Takes those that hold most memory for their clients, so many bytes in all.
  Connection* take_greediest(std::size_t to_free) noexcept;
  // Has as many end as want a place of their policy. False if too few are silent.
  bool evict_for_waiting() noexcept;
  bool places_wanted() const noexcept { return places_wanted_; }
  static constexpr std::int64_t next_eviction = 50;  // milliseconds, if the last one made no room

 private:
  Connection* look_at(Connection& connection, CoarseTime now) noexcept;
  Connection* take_if_quiet(Connection& connection, CoarseTime now) noexcept;
  std::size_t leaving(CoarseTime now) noexcept;
  struct Silent {
    Connection* connection = nullptr;  // null: nobody is
    bool parked = false;
  };
  Silent longest_silent(bool parked_too) noexcept;

  Registry& registry_;
  DueTimer& timer_;
  const ServerOptions& options_;
  std::atomic<CoarseTime> drain_since_{0};
  bool drain_is_over_ = false;
  bool places_wanted_ = false;
  bool queues_overdue_ = false;
};

}  // namespace net
