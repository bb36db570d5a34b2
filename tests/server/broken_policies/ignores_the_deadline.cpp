// A policy whose drain waits for its thread without a limit.

#define BOOST_TEST_MODULE a policy that ignores the deadline
#include <netserve/policy_conformance.hpp>

#include "one_worker.hpp"

struct Ignores : OneWorker {
  using OneWorker::OneWorker;
  net::DrainReport drain(net::Deadline) { return OneWorker::drain(net::Deadline::never()); }
};

NETSERVE_POLICY_CONFORMANCE(Ignores);
