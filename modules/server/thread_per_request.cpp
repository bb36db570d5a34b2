module;

#include <condition_variable>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :option_checks;
import :signals;

namespace net {

struct ThreadPerRequest::State {
  explicit State(const Options& given) : options(given) {}

  void run(std::list<std::thread>::iterator self) {
    std::unique_lock lock(mutex);
    while (!waiting.empty()) {
      Request request = waiting.pop();
      lock.unlock();
      while (request && request.step() == Next::keep && !request.try_park()) {
      }
      lock.lock();
    }
    ended.splice(ended.end(), threads, self);
    changed.notify_all();
  }

  // Under the lock; the request stays with the caller if there is no thread.
  void start(Request& request) {
    const BlockedSignals blocked(BlockedSignals::all());
    threads.emplace_front();
    try {
      threads.front() = std::thread([this, self = threads.begin()] { run(self); });
    } catch (...) {
      threads.pop_front();
      throw;
    }
    // The thread waits for the lock, and takes the first.
    waiting.push(std::move(request));
  }

  // Under the lock: none of these needs it any more.
  void join_ended() {
    for (std::thread& thread : ended) thread.join();
    ended.clear();
  }

  const Options options;
  std::mutex mutex;
  std::condition_variable changed;
  RequestQueue waiting;
  std::list<std::thread> threads;
  std::list<std::thread> ended;
};

ThreadPerRequest::ThreadPerRequest(Options options, PolicyContext& context) {
  check(options);
  state_ = std::make_unique<State>(options);
  if (options.overload == Overload::evict_idle) context.evict_idle();
}

ThreadPerRequest::~ThreadPerRequest() { drain(Deadline::never()); }

void ThreadPerRequest::process(Request request) {
  std::unique_lock lock(state_->mutex);
  state_->join_ended();
  state_->waiting.forget_shed();
  if (state_->threads.size() < state_->options.max_threads) {
    try {
      state_->start(request);
      return;
    } catch (const std::exception&) {
      // A thread that is running takes it when it is done with its own, if there is one.
      if (state_->threads.empty()) throw;
    }
  }
  if (state_->options.overload == Overload::evict_idle) request.evict_idle();
  if (state_->options.overload != Overload::reject) {
    state_->waiting.push(std::move(request));
    return;
  }
  lock.unlock();
  request.reject();
}

DrainReport ThreadPerRequest::drain(Deadline deadline) {
  std::unique_lock lock(state_->mutex);
  const auto all_ended = [this] { return state_->threads.empty(); };
  if (deadline.is_never()) {
    state_->changed.wait(lock, all_ended);
  } else {
    state_->changed.wait_until(lock, deadline.point(), all_ended);
  }
  state_->join_ended();
  return {.stuck = state_->threads.size()};
}

}  // namespace net
