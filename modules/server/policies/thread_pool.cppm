/// \file
/// `net.server:thread_pool`: a fixed number of workers, of which no idle client occupies one.
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
/// A worker that is awake polls and serves the requests that it polled, so a request costs no
/// wake-up while handlers are short. Handlers that compute use all cores. A handler that blocks is
/// replaced by another worker: the first time after some milliseconds, then at once. A connection
/// occupies no worker between two requests. Each conversation (`void handle()`) occupies one until
/// it ends; conversations beyond the workers wait in order, unless `overload` says otherwise.
///
/// The workers block all signals. Thread safety: as `ExecutionPolicy` requires; `process` may also
/// be called from any thread.
class ThreadPool {
 public:
  /// Settings of the pool, fixed at construction.
  struct Options {
    /// The number of threads, at most 4096; 0 is max(8, twice the cores).
    std::size_t workers = 0;
    /// What happens to further conversations when each worker has one.
    Overload overload = Overload::wait;
    WorkerHooks* worker_hooks = nullptr;  ///< called in each worker; must outlive the pool
  };

  /// Throws `invalid_argument` for options out of bounds.
  ThreadPool(Options options, PolicyContext& context);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// Waits for running requests.
  ~ThreadPool();

  /// Starts the workers, when a server begins to serve. Throws `resource_unavailable_try_again` if
  /// the system cannot start all of them.
  void start();
  /// See `ExecutionPolicy`.
  void process(Request request);
  void expire();
  DrainReport drain(Deadline deadline);
  PolicyLoad load() const;

  /// Returns how many threads the pool has once it is started.
  std::size_t workers() const noexcept;

 private:
  struct State;
  const Options options_;
  ParkingLot& lot_;
  std::unique_ptr<State> state_;  // null until `start`
};

}  // namespace net
