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
/// its thread to its end. Between requests, a connection is parked and has no thread. Python:
/// `ThreadingMixIn`, which has as many threads as there are clients.
///
/// A thread that has finished is kept for a while and runs the next request, so the `thread_local`
/// variables of a handler may outlive the request. If a client has sent several requests ahead, a
/// thread runs at most four steps for it in a row while other requests wait.
///
/// At `max_threads`, or if the system cannot start another thread, `overload` decides: requests
/// wait in order for a free thread, are rejected, or the longest-silent conversation is asked to
/// end. The threads block all signals except those that report a fault in the thread itself, such
/// as SIGSEGV.
class ThreadPerRequest {
 public:
  /// Settings of the policy, fixed when it is made.
  struct Options {
    std::size_t max_threads = 256;       ///< 1 or more
    Overload overload = Overload::wait;  ///< what happens to requests beyond `max_threads`
    /// How long an idle thread is kept; with zero, it ends at once. 0 or more.
    std::chrono::milliseconds keep{5'000};
    WorkerHooks* worker_hooks = nullptr;  ///< called in each thread; must outlive the policy
  };

  /// Throws `invalid_argument` for options out of bounds.
  ThreadPerRequest(Options options, PolicyContext& context);
  ThreadPerRequest(const ThreadPerRequest&) = delete;
  ThreadPerRequest& operator=(const ThreadPerRequest&) = delete;
  /// Waits until the threads have ended.
  ~ThreadPerRequest();

  /// See `ExecutionPolicy`. Threads are started when requests need them.
  void start();
  /// Throws `resource_unavailable_try_again` if the system cannot start a thread, and no other
  /// thread could take the request later.
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
