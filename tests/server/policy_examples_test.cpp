// The policies of docs/policies.md: they conform, so a copy of one conforms too.

#include <netserve/policy_conformance.hpp>

#include "first_policy.hpp"
#include "network_pools.hpp"
#include "one_worker.hpp"
#include "polling_worker.hpp"
#include "priority_pool.hpp"
#include "support/one_worker_with.hpp"

// A policy decides about the order itself, so the suite must not require one. Here every second
// request goes to the front of the queue.
class EverySecondJumps : public net::RequestQueue {
 public:
  void push(net::Request request) noexcept {
    jumps_ = !jumps_;
    jumps_ ? push_front(std::move(request)) : net::RequestQueue::push(std::move(request));
  }

 private:
  bool jumps_ = false;
};
using JumpsTheQueue = OneWorkerWith<EverySecondJumps>;

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
