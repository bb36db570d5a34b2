module;

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :forked;
import :option_checks;
import :signals;

// How requests get their threads.
//
// A request enters the queue, and one thread is woken for it: the thread that became idle last,
// whose caches and stack are warm, or else a new one. A thread takes the first request from the
// queue. If it leaves others there, it wakes the next thread before it serves its own request, so a
// long request delays no other. At most one woken thread is on its way at any time: it wakes the
// next one as soon as it has reached the queue. So a burst of short requests is served by the few
// threads that are awake, with few wake-ups. A burst of long requests gets a thread for each, one
// wake-up after another.
//
// A thread that finds the queue empty becomes idle, and ends if it is not woken within `keep`.

namespace net {
namespace {

// A client that has sent several requests ahead is served without returning to the queue, but for
// no more than this number of steps while other requests wait.
constexpr int steps_in_a_row = 4;

}  // namespace

struct ThreadPerRequest::State {
  // A thread, and the condition variable that wakes it. A worker always stays in one of the four
  // lists, so a late wake-up never touches freed memory.
  struct Worker {
    std::thread thread;
    std::condition_variable call;
    bool called = false;
  };
  using Self = std::list<Worker>::iterator;

  explicit State(const Options& given) : options(given) {}

  void work(Self self) {
    ::pthread_setname_np(::pthread_self(), "net-request");
    WorkerHooks* const hooks = options.worker_hooks;
    std::unique_lock lock(mutex, std::defer_lock);
    for (;;) {
      if (hooks != nullptr) hooks->worker_started();
      lock.lock();
      if (hooks != nullptr) --starting;
      serve_until_idle(self, lock);
      busy.splice(busy.begin(), idle, self);
      if (hooks != nullptr) {
        lock.unlock();
        hooks->worker_stopped();
        lock.lock();
      }
      join_ended(lock);
      // Requests that came without the lock may have found no other thread.
      if (waiting.empty()) break;
      if (hooks != nullptr) ++starting;
      lock.unlock();
    }
    ended.splice(ended.begin(), busy, self);
    changed.notify_all();
  }

  // Joins the threads that ended before the calling one. The lock is released meanwhile, because
  // the destructors of their thread_local objects may take a long time, or call the server.
  void join_ended(std::unique_lock<std::mutex>& lock) {
    if (ended.empty()) return;
    std::list<Worker> before;
    before.swap(ended);
    lock.unlock();
    for (Worker& worker : before) worker.thread.join();
    lock.lock();
    unused.splice(unused.end(), before);
  }

  void serve_until_idle(Self self, std::unique_lock<std::mutex>& lock) {
    do {
      // A thread that comes from `worker_started` was not counted as being on its way.
      if (self->called || options.worker_hooks == nullptr) on_its_way = false;
      while (!waiting.empty()) serve_next(lock);
    } while (becomes_idle_and_is_called(self, lock));
  }

  void serve_next(std::unique_lock<std::mutex>& lock) {
    Request request = waiting.pop();
    Worker* next = nullptr;
    if (!waiting.empty() && !on_its_way) {
      try {
        next = call_one(waiting.size());
      } catch (const std::exception&) {
        // No further thread can be started. The running ones take the requests that wait.
      }
    }
    lock.unlock();
    if (next != nullptr) next->call.notify_one();
    int served = 0;
    while (request && request.step() == Next::keep && !request.try_park()) {
      if (++served % steps_in_a_row != 0) continue;
      lock.lock();
      if (!waiting.empty()) {
        waiting.push(std::move(request));
        return;
      }
      lock.unlock();
    }
    lock.lock();
  }

  bool becomes_idle_and_is_called(Self self, std::unique_lock<std::mutex>& lock) {
    self->called = false;
    idle.splice(idle.begin(), busy, self);
    const Deadline end(options.keep);
    while (!self->called && !stopping && !end.passed()) {
      if (end.is_never()) {
        self->call.wait(lock);
      } else {
        self->call.wait_until(lock, end.point());
      }
    }
    return self->called;
  }

  // Sends one more thread to the queue, an idle or a new one, unless enough are starting for
  // `wanted` requests. Returns the idle one, which the caller must notify after it has released the
  // lock, or null. Precondition: no thread is on its way. Throws if a new thread is needed and
  // cannot be started.
  Worker* call_one(std::size_t wanted) {
    if (!idle.empty()) {
      Worker& called = idle.front();
      busy.splice(busy.begin(), idle, idle.begin());
      called.called = on_its_way = true;
      return &called;
    }
    if (busy.size() < options.max_threads && wanted > starting) start();
    return nullptr;
  }

  void start() {
    if (unused.empty()) unused.emplace_front();
    const Self started = unused.begin();
    const BlockedSignals blocked(BlockedSignals::asynchronous());
    started->thread = std::thread([this, started] { work(started); });
    busy.splice(busy.begin(), unused, started);
    if (options.worker_hooks != nullptr) {
      ++starting;
    } else {
      on_its_way = true;
    }
  }

  // Returns how many requests may wait and still find a thread each.
  std::size_t free_threads() const {
    return options.max_threads - busy.size() + starting + (on_its_way ? 1 : 0);
  }

  bool all_ended() const { return busy.empty() && idle.empty(); }

  const Options options;
  std::mutex mutex;
  std::condition_variable changed;  // a thread ended
  RequestQueue waiting;
  std::list<Worker> busy;    // serving a request, or woken
  std::list<Worker> idle;    // waiting to be woken; the one that became idle last is first
  std::list<Worker> ended;   // their threads have ended, or are about to, and are to be joined
  std::list<Worker> unused;  // without a thread
  bool on_its_way = false;   // a thread that was woken or started has not looked at the queue yet
  std::size_t starting = 0;  // threads in `worker_started`, which may take long
  bool stopping = false;
};

ThreadPerRequest::ThreadPerRequest(Options options, PolicyContext&) {
  check(options);
  state_ = std::make_unique<State>(options);
}

ThreadPerRequest::~ThreadPerRequest() { drain(Deadline::never()); }

void ThreadPerRequest::start() {
  if (!std::exchange(started_, true)) return;
  // After a fork, the state is that of the parent, whose threads do not exist here.
  auto fresh = std::make_unique<State>(state_->options);
  keep_for_ever(state_.release());
  state_ = std::move(fresh);
}

void ThreadPerRequest::process(Request request) {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  bool full = state.waiting.size() >= state.free_threads();
  State::Worker* called = nullptr;
  if (!full && !state.on_its_way) {
    try {
      called = state.call_one(state.waiting.size() + 1);
    } catch (const std::exception&) {
      // A running thread, if there is one, takes the request when it is done with its own.
      if (state.all_ended()) throw;
      full = true;
    }
  }
  if (full && state.options.overload == Overload::evict_idle) request.evict_idle();
  if (full && state.options.overload == Overload::reject) {
    lock.unlock();
    request.reject();
    return;
  }
  state.waiting.push(std::move(request));
  lock.unlock();
  if (called != nullptr) called->call.notify_one();
}

void ThreadPerRequest::expire() {
  RequestQueue overdue;  // ended without the lock
  const std::lock_guard lock(state_->mutex);
  state_->waiting.take_overdue(overdue);
}

DrainReport ThreadPerRequest::drain(Deadline deadline) {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  state.stopping = true;
  for (State::Worker& worker : state.idle) worker.call.notify_one();
  const auto all_ended = [&state] { return state.all_ended(); };
  if (deadline.is_never()) {
    state.changed.wait(lock, all_ended);
  } else {
    state.changed.wait_until(lock, deadline.point(), all_ended);
  }
  state.join_ended(lock);
  return {.stuck = state.busy.size()};
}

PolicyLoad ThreadPerRequest::load() const {
  const std::lock_guard lock(state_->mutex);
  return {.waiting = state_->waiting.size(),
          .workers = state_->busy.size() + state_->idle.size(),
          .busy = state_->busy.size(),
          .most = state_->options.max_threads};
}

}  // namespace net
