// A policy with one thread, which runs all requests in order.
#pragma once

#include <memory>

#include "workers.hpp"

class OneWorker {
 public:
  struct Options {};
  OneWorker(Options, net::PolicyContext&) {}

  void start() {
    static_cast<void>(workers_.release());  // after a fork, its thread is only in the parent
    workers_ = std::make_unique<Workers<>>(1);
  }
  void process(net::Request request) { workers_->push(std::move(request)); }
  void expire() { workers_->expire(); }
  net::PolicyLoad load() const { return workers_->load(); }
  net::DrainReport drain(net::Deadline deadline) {
    return {.stuck = workers_ ? workers_->stop(deadline) : 0};
  }

 private:
  std::unique_ptr<Workers<>> workers_;  // null until `start`
};
