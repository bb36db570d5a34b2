/// \file
/// `net.server:thread_pool`: a fixed number of workers, which idle clients do not occupy.
export module net.server:thread_pool;

import net.standard;
import net.socket;
import :hooks;
import :options;
import :parking_lot;
import :policy;
import :request;

export namespace net {

/// Runs requests on a fixed number of threads. The default policy.
///
/// A worker that is awake polls, and serves the requests that it got. So a request costs no wake-up
/// while handlers are short. Handlers that compute get every core. A worker whose handler blocks is
/// replaced by another worker: the first one after some milliseconds, the following ones at once.
/// Between two requests, a connection occupies no worker. A conversation (`void handle()`) occupies
/// a worker until it ends. If every worker has one, further conversations wait in order, unless
/// `overload` says otherwise.
///
/// The workers block all signals except those that report a fault in the thread itself, such as
/// SIGSEGV. Thread safety: as the policy concept requires; in addition, `process` may be called
/// from any thread.
class ThreadPool {
 public:
  /// Settings of the pool, fixed when it is made.
  struct Options {
    /// The number of threads, at most 4096; 0 means max(8, twice the cores).
    std::size_t workers = 0;
    /// What happens to further conversations when each worker has one.
    Overload overload = Overload::wait;
    WorkerHooks* worker_hooks = nullptr;  ///< called in each worker; must outlive the pool
  };

  /// Throws `invalid_argument` for options out of bounds.
  ThreadPool(Options options, PolicyContext& context);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// Waits until the workers have ended.
  ~ThreadPool();

  /// Starts the workers; called when a server begins to serve. Throws
  /// `resource_unavailable_try_again` if not all of them can be started.
  void start();
  /// See `ExecutionPolicy`.
  void process(Request request);
  void expire();
  DrainReport drain(Deadline deadline);
  PolicyLoad load() const;

  /// Returns how many workers the pool has once it is started.
  std::size_t workers() const noexcept;

 private:
  struct State;
  const Options options_;
  ParkingLot& lot_;
  std::unique_ptr<State> state_;  // null until `start`
};

}  // namespace net
