// A policy with one worker, whose queue a test chooses.
#pragma once

#include <memory>

#include "workers.hpp"

template <class Queue>
class OneWorkerWith {
 public:
  struct Options {};
  OneWorkerWith(Options, net::PolicyContext&) {}

  void start() {
    static_cast<void>(workers_.release());  // after a fork, the workers belong to the parent
    workers_ = std::make_unique<Workers<Queue>>(1);
  }
  void process(net::Request request) { workers_->push(std::move(request)); }
  void expire() { workers_->expire(); }
  net::DrainReport drain(net::Deadline deadline) {
    return {.stuck = workers_ ? workers_->stop(deadline) : 0};
  }

 private:
  std::unique_ptr<Workers<Queue>> workers_;
};
