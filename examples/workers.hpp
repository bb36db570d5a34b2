// A queue of requests and the threads that run them: the common part of most policies in the
// examples.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "signals_blocked.hpp"

import net.server;

// `Queue` has those functions of net::RequestQueue that this class calls. The constructor passes
// its last arguments to the queue.
template <class Queue = net::RequestQueue>
class Workers {
 public:
  template <class... Args>
  explicit Workers(std::size_t count, const Args&... queue) : waiting_(queue...) {
    const SignalsBlocked blocked;
    try {
      while (threads_.size() < count) threads_.emplace_back([this] { work(); });
    } catch (...) {
      join();
      throw;
    }
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { join(); }

  void push(net::Request request) {
    const std::lock_guard lock(mutex_);
    waiting_.push(std::move(request));
    changed_.notify_one();
  }

  void expire() {
    net::RequestQueue overdue;  // its destructor ends the requests, without the lock
    const std::lock_guard lock(mutex_);
    waiting_.take_overdue(overdue);
  }

  // Ends the threads. Returns how many still run at the deadline; the destructor waits for them.
  std::size_t stop(net::Deadline deadline) {
    net::RequestQueue dropped;  // requests that have not begun end unserved, without the lock
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    while (!waiting_.empty()) dropped.push(waiting_.pop());
    const auto ended = [this] { return ended_ == threads_.size(); };
    if (deadline.is_never()) {
      changed_.wait(lock, ended);
    } else {
      changed_.wait_until(lock, deadline.point(), ended);
    }
    return threads_.size() - ended_;
  }

  net::PolicyLoad load() const {
    const std::lock_guard lock(mutex_);
    return {.waiting = waiting_.size(),
            .workers = threads_.size(),
            .busy = busy_,
            .most = threads_.size()};
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) break;
      net::Request request = waiting_.pop();
      ++busy_;
      lock.unlock();
      if (request.step() == net::Next::keep) request.park();
      lock.lock();
      --busy_;
    }
    ++ended_;
    changed_.notify_all();
  }

  void join() {
    stop(net::Deadline(std::chrono::seconds(0)));
    for (std::thread& thread : threads_) thread.join();
  }

  mutable std::mutex mutex_;  // guards the following members
  std::condition_variable changed_;
  Queue waiting_;
  std::size_t busy_ = 0;
  std::size_t ended_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // not changed after the constructor
};
