// Starts a successor of the demo. This header imports modules, so include it after all others.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

import net.handover;

// Restarts the program with its original command line, on the same listeners.
class Restart {
 public:
  using Heirlooms = std::function<std::vector<net::Heirloom>()>;

  Restart(std::vector<std::string> command, Heirlooms heirlooms)
      : command_(std::move(command)), heirlooms_(std::move(heirlooms)) {}

  // Announces that this program is serving: to its predecessor, if any, and to the service manager,
  // with a status text.
  void tell_ready(const std::string& status) const;
  // Makes the service manager close the sockets that it keeps, since the service stops. Otherwise
  // the next start would serve these, whatever its command line says.
  static void forget_stored();
  // Starts the successor and waits until it serves. If it does not, logs the reason and returns
  // false: then this program continues. SIGTERM or SIGINT ends the wait. Calls `while_waiting` ten
  // times a second.
  bool run(const std::function<void()>& while_waiting) const;

 private:
  const std::vector<std::string> command_;
  const Heirlooms heirlooms_;
};
