// A policy that drops every fiftieth request.

#define BOOST_TEST_MODULE a policy that drops a request
#include <netserve/policy_conformance.hpp>

#include "one_worker.hpp"

struct DropsOne : OneWorker {
  using OneWorker::OneWorker;
  void process(net::Request request) {
    if (++count_ % 50 != 0) OneWorker::process(std::move(request));
  }

 private:
  int count_ = 0;
};

NETSERVE_POLICY_CONFORMANCE(DropsOne);
