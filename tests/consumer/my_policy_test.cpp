// A policy of the consumer's own, tested by the suite that the package contains.

#define BOOST_TEST_MODULE my_policy
#include <netserve/policy_conformance.hpp>

// The first policy of docs/policies.md.
struct MyPolicy {
  struct Options {};
  MyPolicy(Options, net::PolicyContext&) {}
  void process(net::Request request) {
    if (request.step() == net::Next::keep) request.park();
  }
  net::DrainReport drain(net::Deadline) { return {}; }
};

NETSERVE_POLICY_CONFORMANCE(MyPolicy);
