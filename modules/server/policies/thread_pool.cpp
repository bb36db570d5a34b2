module;

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import :crew;
import :forked;
import :option_checks;
import :scheduler;
import :signals;

namespace net {
namespace {

// Returns how many cores this process may use. std::thread::hardware_concurrency counts those of
// the machine.
std::size_t cores() {
  cpu_set_t allowed;
  const int error = ::sched_getaffinity(0, sizeof allowed, &allowed);
  const int count = error == 0 ? CPU_COUNT(&allowed) : 0;
  return count > 0 ? static_cast<std::size_t>(count)
                   : std::max(1U, std::thread::hardware_concurrency());
}

std::size_t default_workers() { return std::max<std::size_t>(8, 2 * cores()); }

}  // namespace

// The threads of the pool, from start to stop. The scheduler decides what they do.
struct ThreadPool::State {
  State(std::size_t workers_wanted, const Options& options, ParkingLot& lot)
      : scheduler(lot, options.overload, workers_wanted, cores()), hooks(options.worker_hooks) {
    const BlockedSignals no_signals(BlockedSignals::asynchronous());
    try {
      for (; running < workers_wanted; ++running) {
        Worker& worker = workers.emplace_back();
        worker.thread = std::thread([this, &worker] { run(worker); });
      }
      sentinel = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "net-sentinel");
        scheduler.keep_watch();
      });
    } catch (...) {
      stop(Deadline::never());
      throw;
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { stop(Deadline::never()); }

  struct Worker : Crew::Worker {
    std::thread thread;
  };

  void run(Worker& worker) {
    ::pthread_setname_np(::pthread_self(), "net-worker");
    if (hooks != nullptr) hooks->worker_started();
    scheduler.work(worker);
    if (hooks != nullptr) hooks->worker_stopped();
    const std::lock_guard lock(mutex);
    --running;
    ended.notify_all();
  }

  // Returns how many workers still run at the deadline.
  std::size_t stop(Deadline deadline) {
    scheduler.stop();
    std::unique_lock lock(mutex);
    const auto all_ended = [this] { return running == 0; };
    if (deadline.is_never()) {
      ended.wait(lock, all_ended);
    } else {
      ended.wait_until(lock, deadline.point(), all_ended);
    }
    if (running > 0) return running;
    lock.unlock();
    for (Worker& worker : workers) {
      if (worker.thread.joinable()) worker.thread.join();
    }
    if (sentinel.joinable()) sentinel.join();
    return 0;
  }

  Scheduler scheduler;
  WorkerHooks* const hooks;
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t running = 0;  // workers; guarded by the lock once they are all started
  std::deque<Worker> workers;
  std::thread sentinel;
};

ThreadPool::ThreadPool(Options options, PolicyContext& context)
    : options_(options), lot_(context.take_parking_lot()) {
  check(options);
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::start() {
  // After a fork, the state is that of the parent, whose threads do not exist here.
  keep_for_ever(state_.release());
  state_ = std::make_unique<State>(workers(), options_, lot_);
}

void ThreadPool::process(Request request) { state_->scheduler.take_in(std::move(request)); }

void ThreadPool::expire() { state_->scheduler.expire(); }

DrainReport ThreadPool::drain(Deadline deadline) {
  return {.stuck = state_ ? state_->stop(deadline) : 0};
}

PolicyLoad ThreadPool::load() const { return state_->scheduler.load(); }

std::size_t ThreadPool::workers() const noexcept {
  return options_.workers == 0 ? default_workers() : options_.workers;
}

}  // namespace net
