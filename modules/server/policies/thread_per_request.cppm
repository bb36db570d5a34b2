/// \file
/// `net.server:thread_per_request`: a thread for each request.
export module net.server:thread_per_request;

import net.standard;
import net.socket;
import :hooks;
import :options;
import :policy;
import :request;

export namespace net {

/// Runs each request in a thread of its own, for as long as the request takes; a conversation keeps
/// its thread to its end. Between requests a connection is parked and has no thread. Python:
/// `ThreadingMixIn`, which has a thread for each client.
///
/// A finished thread is kept for a while and runs the next request, so what a handler stores in
/// `thread_local` variables may outlive the request. If a client pipelines several requests, a
/// thread runs at most four steps of it in a row while other requests wait.
///
/// At `max_threads`, or if the system has no more threads, `overload` decides: requests wait in
/// order for a free thread, are rejected, or the conversation that has been silent for longest is
/// asked to end. The threads block all signals.
class ThreadPerRequest {
 public:
  /// Settings of the policy, fixed at construction.
  struct Options {
    std::size_t max_threads = 256;       ///< 1 or more
    Overload overload = Overload::wait;  ///< what happens to requests beyond them
    /// How long an idle thread is kept, 0 or more; with zero, it ends at once.
    std::chrono::milliseconds keep{5'000};
    WorkerHooks* worker_hooks = nullptr;  ///< called in each thread; must outlive the policy
  };

  /// Throws `invalid_argument` for options out of bounds.
  ThreadPerRequest(Options options, PolicyContext& context);
  ThreadPerRequest(const ThreadPerRequest&) = delete;
  ThreadPerRequest& operator=(const ThreadPerRequest&) = delete;
  /// Waits for running requests.
  ~ThreadPerRequest();

  /// See `ExecutionPolicy`. Threads are started when requests arrive.
  void start();
  /// Throws `resource_unavailable_try_again` if the system has no thread left and the policy has
  /// none that could take the request later.
  void process(Request request);
  /// See `ExecutionPolicy`.
  void expire();
  DrainReport drain(Deadline deadline);
  PolicyLoad load() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool started_ = false;
};

}  // namespace net
