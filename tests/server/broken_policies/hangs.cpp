// A policy whose drain never returns.

#define BOOST_TEST_MODULE a policy that hangs
#include <netserve/policy_conformance.hpp>

#include "first_policy.hpp"

struct Hangs : FirstPolicy {
  using FirstPolicy::FirstPolicy;
  net::DrainReport drain(net::Deadline) {
    for (const net::conformance::Gate never;;) never.wait();
  }
};

NETSERVE_POLICY_CONFORMANCE(Hangs);
