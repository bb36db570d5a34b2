// A thread that polls the parking lot itself: no request has to wake up another thread.
#pragma once

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "signals_blocked.hpp"

import net.server;

class PollingWorker {
 public:
  struct Options {};
  PollingWorker(Options, net::PolicyContext& context) : lot_(context.take_parking_lot()) {}

  void start() {
    // After a fork, the old thread is only in the parent, and the lot is empty here.
    static_cast<void>(worker_.release());
    worker_ = std::make_unique<Worker>(lot_);
  }
  void process(net::Request request) { worker_->push(std::move(request)); }
  void expire() { worker_->expire(); }
  net::DrainReport drain(net::Deadline deadline) {
    return {.stuck = !worker_ || worker_->stop(deadline) ? 0U : 1U};
  }

 private:
  class Worker {
   public:
    explicit Worker(net::ParkingLot& lot) : lot_(lot) {
      const SignalsBlocked blocked;
      ended_ = std::async(std::launch::async, &Worker::work, this);
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { stop(net::Deadline::never()); }

    void push(net::Request request) {
      {
        const std::lock_guard lock(mutex_);
        handed_over_.push(std::move(request));
      }
      lot_.wake();
    }
    void expire() {
      net::RequestQueue overdue;  // its destructor ends the requests, without the lock
      const std::lock_guard lock(mutex_);
      handed_over_.take_overdue(overdue);
    }
    bool stop(net::Deadline deadline) {
      stopping_ = true;
      lot_.wake();
      {
        net::RequestQueue dropped;  // its destructor ends the requests, without the lock
        const std::lock_guard lock(mutex_);
        dropped.append(handed_over_);
      }
      return ended_.wait_until(deadline.point()) == std::future_status::ready;
    }

   private:
    void work() {
      std::array<net::Request, 64> ready;
      while (!stopping_) {
        const std::size_t count = lot_.wait(ready, net::Deadline::never());
        for (net::Request& request : std::span(ready).first(count)) serve(request);
        net::RequestQueue handed_over;
        {
          const std::lock_guard lock(mutex_);
          handed_over.append(handed_over_);
        }
        while (!handed_over.empty()) {
          net::Request request = handed_over.pop();
          serve(request);
        }
      }
    }
    void serve(net::Request& request) {
      if (stopping_) {
        const net::Request dropped = std::move(request);
      } else if (request.step() == net::Next::keep) {
        request.park();
      }
    }

    net::ParkingLot& lot_;
    std::mutex mutex_;
    net::RequestQueue handed_over_;
    std::atomic<bool> stopping_{false};
    std::future<void> ended_;
  };

  net::ParkingLot& lot_;
  std::unique_ptr<Worker> worker_;
};
