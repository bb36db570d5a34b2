// Policies that break a rule of docs/policies.md, each in its own way. The program
// server/broken_policies runs the suite of each of them, and expects it to fail.

#define BOOST_TEST_MODULE broken policies
#include <netserve/policy_conformance.hpp>

#include "first_policy.hpp"
#include "one_worker.hpp"
#include "support/one_worker_with.hpp"

// Drops every fiftieth request.
struct DropsOne : OneWorker {
  using OneWorker::OneWorker;
  void process(net::Request request) {
    if (++count_ % 50 != 0) OneWorker::process(std::move(request));
  }

 private:
  int count_ = 0;
};
NETSERVE_POLICY_CONFORMANCE(DropsOne);

// Forks for every fiftieth request, and runs the request in the parent too.
struct RunsTwice {
  struct Options {};
  RunsTwice(Options, net::PolicyContext&) { ::signal(SIGCHLD, SIG_IGN); }

  void process(net::Request request) {
    if (++count_ % 50 == 0 && ::fork() == 0) {
      request.step();
      ::_exit(0);
    }
    if (request.step() == net::Next::keep) request.park();
  }
  net::DrainReport drain(net::Deadline) { return {}; }

 private:
  int count_ = 0;
};
NETSERVE_POLICY_CONFORMANCE(RunsTwice);

// Its thread goes on after drain, although drain reports that nothing is stuck.
struct OutlivesDrain : OneWorker {
  using OneWorker::OneWorker;
  net::DrainReport drain(net::Deadline) { return {}; }
};
NETSERVE_POLICY_CONFORMANCE(OutlivesDrain);

// Its drain waits for its thread without a limit.
struct IgnoresTheDeadline : OneWorker {
  using OneWorker::OneWorker;
  net::DrainReport drain(net::Deadline) { return OneWorker::drain(net::Deadline::never()); }
};
NETSERVE_POLICY_CONFORMANCE(IgnoresTheDeadline);

// Its drain never returns.
struct Hangs : FirstPolicy {
  using FirstPolicy::FirstPolicy;
  net::DrainReport drain(net::Deadline) {
    for (const net::conformance::Gate never;;) never.wait();
  }
};
NETSERVE_POLICY_CONFORMANCE(Hangs);

// Claims two workers, and only ever wakes one of them.
struct WakesOne : OneWorker {
  using OneWorker::OneWorker;
  net::PolicyLoad load() const {
    net::PolicyLoad load = OneWorker::load();
    load.workers = load.most = 2;
    return load;
  }
};
NETSERVE_POLICY_CONFORMANCE(WakesOne);

// Serves the newest request first, so the oldest may wait forever.
struct Stack : net::RequestQueue {
  void push(net::Request request) noexcept { push_front(std::move(request)); }
};
using NewestFirst = OneWorkerWith<Stack>;
NETSERVE_POLICY_CONFORMANCE(NewestFirst, {.one_place = [] { return NewestFirst::Options{}; }});

// Its expire ends all requests, not only the overdue ones.
struct AllAreOverdue : net::RequestQueue {
  void take_overdue(net::RequestQueue& overdue) noexcept { overdue.append(*this); }
};
using ExpiresAll = OneWorkerWith<AllAreOverdue>;
NETSERVE_POLICY_CONFORMANCE(ExpiresAll, {.one_place = [] { return ExpiresAll::Options{}; }});
