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

// Serves a monitor at an endpoint. The servers must outlive it.
class EchoMonitor {
 public:
  // Throws std::runtime_error, with a sentence for the user. If `listener` is open (from a
  // predecessor), serves at that.
  EchoMonitor(const Endpoint& endpoint, net::Socket listener,
              const std::vector<WatchedServer>& servers);

  // Returns the address in the form that a browser or another client uses.
  std::string where() const;
  net::Socket duplicate_listener() const { return monitor_.duplicate_listener(); }

 private:
  net::Monitor monitor_;
};
