// A policy whose thread goes on after drain, although drain reports that nothing is stuck.

#define BOOST_TEST_MODULE a policy that outlives its drain
#include <netserve/policy_conformance.hpp>

#include "one_worker.hpp"

struct Outlives : OneWorker {
  using OneWorker::OneWorker;
  net::DrainReport drain(net::Deadline) { return {}; }
};

NETSERVE_POLICY_CONFORMANCE(Outlives);
