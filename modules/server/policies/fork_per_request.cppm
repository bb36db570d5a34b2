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

/// Forks a child for each connection when its first request has arrived (for a conversation: at
/// once). The child runs all requests of the connection. See `Child` for the rules that hold in the
/// child. Python: `ForkingMixIn`.
///
/// At `max_children`, or if the system cannot create a process, `overload` decides: connections
/// wait in order for a child to end, are rejected, or the child that has waited longest for its
/// client is asked to end. The serving thread never waits. A waiting conversation whose client
/// ended its input before it sent anything comes after the others: most of these clients have gone.
///
/// A child serves its connection until the connection ends, so clients that stay connected can
/// occupy all children. With `Overload::evict_idle`, silent clients are evicted.
///
/// A fork copies the page tables and the descriptor table, and the child closes all other
/// connections, at about 0.2 us for each open one. Measured: 0.3 ms with none, 0.9 ms with 4,000,
/// 3.5 ms with 15,000. Thousands of idle clients are better served by another policy.
class ForkPerRequest {
 public:
  /// Settings of the policy, fixed when it is made.
  struct Options {
    std::size_t max_children = 256;       ///< from 1 to 1024
    Overload overload = Overload::wait;   ///< what happens to connections beyond `max_children`
    WorkerHooks* worker_hooks = nullptr;  ///< called in each child; must outlive the policy
  };

  /// Throws `invalid_argument` for options out of bounds, and `function_not_supported` or
  /// `operation_not_permitted` if the kernel (before Linux 5.3) or a seccomp filter refuses
  /// pidfd_open(2) or pidfd_send_signal(2).
  ForkPerRequest(Options options, PolicyContext& context);
  ForkPerRequest(const ForkPerRequest&) = delete;
  ForkPerRequest& operator=(const ForkPerRequest&) = delete;
  /// Kills the remaining children, and waits until their processes have ended; hundreds of them may
  /// take a second. A closed server has already killed its own children, and counts them as cut.
  ~ForkPerRequest();

  /// See `ExecutionPolicy`.
  void start();
  /// Throws `resource_unavailable_try_again`, `not_enough_memory` or `too_many_files_open` if the
  /// system cannot create a process, and no child is running whose end could make it possible.
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
