// The policies of docs/policies.md: they conform, so a copy of one conforms too.

#include <netserve/policy_conformance.hpp>

#include "first_policy.hpp"
#include "network_pools.hpp"
#include "one_worker.hpp"
#include "polling_worker.hpp"
#include "priority_pool.hpp"

// A policy decides about the order itself, so the suite must not require one. Here every second
// request goes to the front of the queue.
class JumpsTheQueue {
 public:
  struct Options {};
  JumpsTheQueue(Options, net::PolicyContext&) {}

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
  class Queue : public net::RequestQueue {
   public:
    void push(net::Request request) noexcept {
      jumps_ = !jumps_;
      jumps_ ? push_front(std::move(request)) : net::RequestQueue::push(std::move(request));
    }

   private:
    bool jumps_ = false;
  };
  std::unique_ptr<Workers<Queue>> workers_;
};

NETSERVE_POLICY_CONFORMANCE(JumpsTheQueue, {.one_place = [] { return JumpsTheQueue::Options{}; }});
NETSERVE_POLICY_CONFORMANCE(FirstPolicy);
NETSERVE_POLICY_CONFORMANCE(OneWorker, {.one_place = [] { return OneWorker::Options{}; }});
NETSERVE_POLICY_CONFORMANCE(
    PriorityPool,
    {.options = [] { return PriorityPool::Options{.first = net::Networks("127.0.0.1")}; },
     .one_place = [] { return PriorityPool::Options{.workers = 1}; }});
NETSERVE_POLICY_CONFORMANCE(NetworkPools,
                            {
                                .one_place = [] { return NetworkPools::Options{.workers = 1}; },
                            });
NETSERVE_POLICY_CONFORMANCE(PollingWorker);
