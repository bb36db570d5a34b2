// A pool of threads that takes the requests of some networks first.
#pragma once

#include <memory>

#include "workers.hpp"

// Requests in two queues. The second queue does not starve: every eighth request is taken from it.
class TwoLines {
 public:
  explicit TwoLines(const net::Networks& first) : first_(first) {}

  bool empty() const noexcept { return urgent_.empty() && others_.empty(); }
  std::size_t size() const noexcept { return urgent_.size() + others_.size(); }
  void push(net::Request request) {
    (first_.contains(request.peer()) ? urgent_ : others_).push(std::move(request));
  }
  net::Request pop() noexcept {
    const bool others_turn = !others_.empty() && (urgent_.empty() || ++taken_ % 8 == 0);
    return (others_turn ? others_ : urgent_).pop();
  }
  void take_overdue(net::RequestQueue& overdue) noexcept {
    urgent_.take_overdue(overdue);
    others_.take_overdue(overdue);
  }

 private:
  const net::Networks first_;
  net::RequestQueue urgent_;
  net::RequestQueue others_;
  std::size_t taken_ = 0;
};

class PriorityPool {
 public:
  struct Options {
    std::size_t workers = 4;
    net::Networks first = {};  // networks whose requests are taken first
  };
  PriorityPool(Options options, net::PolicyContext&) : options_(std::move(options)) {}

  void start() {
    static_cast<void>(workers_.release());  // after a fork, its threads are only in the parent
    workers_ = std::make_unique<Workers<TwoLines>>(options_.workers, options_.first);
  }
  void process(net::Request request) { workers_->push(std::move(request)); }
  void expire() { workers_->expire(); }
  net::PolicyLoad load() const { return workers_->load(); }
  net::DrainReport drain(net::Deadline deadline) {
    return {.stuck = workers_ ? workers_->stop(deadline) : 0};
  }

 private:
  const Options options_;
  std::unique_ptr<Workers<TwoLines>> workers_;
};
