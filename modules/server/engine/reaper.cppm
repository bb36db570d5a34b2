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

// Finds the connections that must end: their deadline has expired, they are silent while the server
// drains, or their slot or memory is needed. The reaper ends the input of such a connection, or
// takes the connection. Taken connections are returned as a list, linked by `next_retired`, and are
// marked with their outcome, unless an event arrived for them just then. The caller owns them, and
// serves or ends them without the lock, since handlers and hooks may run then. To be used on the
// serving thread, except for the functions that say otherwise.
class Reaper {
 public:
  Reaper(Registry& registry, DueTimer& timer, const ServerOptions& options) noexcept
      : registry_(registry), timer_(timer), options_(options) {}
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Takes connections whose deadline has expired. If there are many, some are left for the next
  // call, so that the serving thread polls in between.
  Connection* take_expired(CoarseTime now) noexcept;

  // Returns whether connections in the queues of policies have become overdue since the last call.
  bool take_queues_overdue() noexcept { return std::exchange(queues_overdue_, false); }

  // Notes that the server drains from now on. May be called from any thread.
  void begin_drain(CoarseTime now) noexcept { drain_since_.store(now); }
  // Ends the input of running connections that have been silent for the quiet grace. May be called
  // from any thread.
  void end_silent(CoarseTime now) noexcept;
  // Takes parked connections that have been silent between requests for the quiet grace; after
  // `drain_is_over`, all parked connections.
  Connection* take_quiet(CoarseTime now) noexcept;
  void drain_is_over() noexcept { drain_is_over_ = true; }
  // Cuts all running connections. May be called from any thread.
  void cut_running() noexcept;

  // Frees a slot for a new connection: ends the input of the longest-silent connection, or takes
  // that connection if it is parked. Does nothing while an evicted connection is still leaving.
  Connection* evict_for_newcomer() noexcept;
  // Takes parked connections that hold the most memory for their clients. Stops when they hold
  // `to_free` bytes in all.
  Connection* take_greediest(std::size_t to_free) noexcept;
  // Evicts a silent running connection for each connection that waits for a slot of its policy.
  // Connections that were evicted before and are still leaving count too. Returns false if too few
  // are silent.
  bool evict_for_waiting() noexcept;
  bool places_wanted() const noexcept { return places_wanted_; }
  static constexpr std::int64_t next_eviction = 50;  // milliseconds, while slots are wanted

 private:
  Connection* look_at(Connection& connection, CoarseTime now) noexcept;
  Connection* take_if_quiet(Connection& connection, CoarseTime now) noexcept;
  std::size_t leaving(CoarseTime now) noexcept;
  struct Silent {
    Connection* connection = nullptr;  // null: no connection is silent
    bool parked = false;
    CoarseTime since = std::numeric_limits<CoarseTime>::max();
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
