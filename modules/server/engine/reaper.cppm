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

// Finds the connections that must end: their limits have passed, they are silent while the server
// drains, or their slot is needed. Ends their input, or takes them: returns a list, linked by
// `next_retired`, of connections that the caller owns then. Each is marked with how it ends. The
// caller ends them without the lock, because handlers and hooks may run then. On the serving
// thread, except for the two functions that say otherwise.
class Reaper {
 public:
  Reaper(Registry& registry, DueTimer& timer, const ServerOptions& options) noexcept
      : registry_(registry), timer_(timer), options_(options) {}
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Takes the connections whose limits have passed. If there are many, leaves some for the next
  // time, so that the serving thread polls in between.
  Connection* take_expired(CoarseTime now) noexcept;

  // Returns whether connections in the queues of policies have waited for too long, since the last
  // call.
  bool take_queues_overdue() noexcept { return std::exchange(queues_overdue_, false); }

  // The server drains from now on. From any thread.
  void begin_drain(CoarseTime now) noexcept { drain_since_.store(now); }
  // Ends the input of the connections that have been silent for the quiet grace. From any thread.
  void end_silent(CoarseTime now) noexcept;
  // Takes the connections that have been silent between requests for the quiet grace. Once the
  // drain's time is over, takes all that no thread runs.
  Connection* take_quiet(CoarseTime now) noexcept;
  void drain_is_over() noexcept { drain_is_over_ = true; }
  // Cuts all connections that are not parked.
  void cut_running() noexcept;

  // Evicts the connection that has been silent longest, to free a slot for a new connection. Does
  // nothing while an evicted one is still leaving. If the connection is parked, takes it; otherwise
  // ends its input.
  Connection* evict_for_newcomer() noexcept;
  // Takes the connections that hold the most memory for their clients, until they hold `to_free`
  // bytes.
  Connection* take_greediest(std::size_t to_free) noexcept;
  // Ends the input of as many silent connections as there are connections that want a slot of their
  // policy. Those that are still leaving count. Returns false if too few are silent.
  bool evict_for_waiting() noexcept;
  bool places_wanted() const noexcept { return places_wanted_; }
  // milliseconds, if the last eviction freed no slot
  static constexpr std::int64_t next_eviction = 50;

 private:
  Connection* look_at(Connection& connection, CoarseTime now) noexcept;
  Connection* take_if_quiet(Connection& connection, CoarseTime now) noexcept;
  std::size_t leaving(CoarseTime now) noexcept;
  struct Silent {
    Connection* connection = nullptr;  // null: none is silent
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
