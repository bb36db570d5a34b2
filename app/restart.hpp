// How the demo starts the next program in its place. It imports, so it is among the last includes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

import net.handover;

// Starts the program anew, as it was started, onto the same listeners.
class Restart {
 public:
  using Heirlooms = std::function<std::vector<net::Heirloom>()>;

  Restart(std::vector<std::string> command, Heirlooms heirlooms)
      : command_(std::move(command)), heirlooms_(std::move(heirlooms)) {}

  // Tells whoever waits for it that this program serves, and the manager in words.
  void tell_ready(const std::string& status) const;
  // Starts the next program and waits until it serves; false, with a line that says why, if it does
  // not: then this one goes on. A signal to end that comes meanwhile ends the wait.
  // `while_waiting` is called ten times a second.
  bool run(const std::function<void()>& while_waiting) const;

 private:
  const std::vector<std::string> command_;
  const Heirlooms heirlooms_;
};
