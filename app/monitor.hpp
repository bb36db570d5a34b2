// The monitor of the demo. It imports, so it is among the last includes.
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

// Tells at an endpoint what servers do, which outlive it.
class EchoMonitor {
 public:
  // Throws std::runtime_error, with a sentence for the user.
  // With a listener of the program before, it serves at that.
  EchoMonitor(const Endpoint& endpoint, net::Socket listener,
              const std::vector<WatchedServer>& servers);

  // As a browser or a client takes it.
  std::string where() const;
  net::Socket duplicate_listener() const { return monitor_.duplicate_listener(); }

 private:
  net::Monitor monitor_;
};
