// A policy over an executor that the program already has: Asio's thread_pool.
#pragma once

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

import net.server;

class AsioPolicy {
 public:
  struct Options {
    asio::thread_pool* pool = nullptr;  // owned by the program, must outlive the policy
  };
  AsioPolicy(Options options, net::PolicyContext&) : pool_(*options.pool) {}
  AsioPolicy(const AsioPolicy&) = delete;
  AsioPolicy& operator=(const AsioPolicy&) = delete;
  ~AsioPolicy() { drain(net::Deadline::never()); }

  // The request stays with the policy. The posted function only takes one from the queue, so
  // functions that the executor still holds after `drain` do nothing.
  void process(net::Request request) {
    const std::lock_guard lock(state_->mutex);
    asio::post(pool_, [state = state_] { state->run_next(); });
    state_->waiting.push(std::move(request));
  }

  void expire() {
    net::RequestQueue overdue;  // its destructor ends the requests, without the lock
    const std::lock_guard lock(state_->mutex);
    state_->waiting.take_overdue(overdue);
  }

  net::DrainReport drain(net::Deadline deadline) {
    net::RequestQueue dropped;  // requests that have not begun end unserved, without the lock
    std::unique_lock lock(state_->mutex);
    dropped.append(state_->waiting);
    const auto done = [this] { return state_->running == 0; };
    if (deadline.is_never()) {
      state_->changed.wait(lock, done);
    } else {
      state_->changed.wait_until(lock, deadline.point(), done);
    }
    return {.stuck = state_->running};
  }

 private:
  struct State {
    void run_next() {
      std::unique_lock lock(mutex);
      if (waiting.empty()) return;  // the request has expired, or the policy has ended
      net::Request request = waiting.pop();
      ++running;
      lock.unlock();
      if (request.step() == net::Next::keep) request.park();
      lock.lock();
      if (--running == 0) changed.notify_all();
    }

    std::mutex mutex;
    std::condition_variable changed;
    net::RequestQueue waiting;
    std::size_t running = 0;
  };

  asio::thread_pool& pool_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();  // shared with posted functions
};
