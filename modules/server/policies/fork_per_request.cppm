/// \file
/// `net.server:fork_per_request`: a process for each connection.
export module net.server:fork_per_request;

import net.standard;
import net.socket;
import :hooks;
import :options;
import :policy;
import :request;

export namespace net {

/// Forks a child for each connection, when its first request is here (a conversation: at once); the
/// child runs all its requests. See `Child` for what holds there. Python: `ForkingMixIn`.
///
/// At `max_children`, or if the system has no process, `overload` decides: connections wait in
/// order for a child to end (the serving thread never does), are rejected, or the child that waits
/// for its client for longest is asked to end. A conversation that waits, and whose client ended
/// its input before it said anything, comes after the others: most of these clients have gone.
///
/// A child serves its connection until the connection ends, so clients that stay connected can
/// occupy all children; with `Overload::evict_idle`, silent ones make room.
///
/// A fork copies the tables of memory and of descriptors, and the child closes the connections of
/// others, at about 0.2 us for each that is open. Measured: 0.3 ms with none, 0.9 ms with 4,000,
/// 3.5 ms with 15,000. Thousands of idle clients are better served by another policy.
class ForkPerRequest {
 public:
  /// Settings of the policy, fixed when it is made.
  struct Options {
    std::size_t max_children = 256;       ///< from 1 to 1024
    Overload overload = Overload::wait;   ///< what happens to connections beyond them
    WorkerHooks* worker_hooks = nullptr;  ///< called in each child; must outlive the policy
  };

  /// Throws `invalid_argument` for options out of bounds, and `function_not_supported` or
  /// `operation_not_permitted` if the kernel (before Linux 5.3) or a seccomp filter refuses
  /// pidfd_open(2) or pidfd_send_signal(2).
  ForkPerRequest(Options options, PolicyContext& context);
  ForkPerRequest(const ForkPerRequest&) = delete;
  ForkPerRequest& operator=(const ForkPerRequest&) = delete;
  /// Kills the children that are left, and waits until their processes have ended: hundreds of them
  /// may take a second. A server that was closed has killed its own, and counts them as cut.
  ~ForkPerRequest();

  /// See `ExecutionPolicy`.
  void start();
  /// Throws `resource_unavailable_try_again` or `not_enough_memory` if the system has no process
  /// and no child is running whose end could make room.
  void process(Request request);
  /// See `ExecutionPolicy`.
  void expire();
  DrainReport drain(Deadline deadline);
  PolicyLoad load() const;

  /// Returns how many children there are. From any thread. Python: `active_children`.
  std::size_t children() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool started_ = false;
};

}  // namespace net
