// The monitor of the demo. This header imports modules, so include it after all others.
#pragma once

#include <string>
#include <vector>

#include "endpoint.hpp"

import net.monitor;
import net.server;

struct WatchedServer {
  net::BaseServer* server;
  std::string name;
};

// Serves a monitor at an endpoint. The servers must outlive this object.
class EchoMonitor {
 public:
  // If `listener` is open, it comes from a predecessor, and the monitor serves it instead of
  // binding the endpoint. Throws std::runtime_error, with a sentence for the user.
  EchoMonitor(const Endpoint& endpoint, net::Socket listener,
              const std::vector<WatchedServer>& servers);

  // Returns the address in the form that a browser or another client uses.
  std::string where() const;
  net::Socket duplicate_listener() const { return monitor_.duplicate_listener(); }

 private:
  net::Monitor monitor_;
};
