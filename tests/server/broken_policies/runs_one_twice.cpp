// A policy that forks for every fiftieth request, and runs the request in the parent too.

#define BOOST_TEST_MODULE a policy that runs one request twice
#include <netserve/policy_conformance.hpp>

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
