// The smallest policy: every request runs at once, on the serving thread.
#pragma once

import net.server;

struct FirstPolicy {
  struct Options {};
  FirstPolicy(Options, net::PolicyContext&) {}

  void process(net::Request request) {
    if (request.step() == net::Next::keep) request.park();
  }
  net::DrainReport drain(net::Deadline) { return {}; }
};
