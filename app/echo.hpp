// The echo server: what `netserve echo` runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "endpoint.hpp"

struct EchoOptions {
  std::vector<Endpoint> endpoints;
  std::string policy = "pool";
  std::size_t workers = 0;  // 0: the library decides
  std::chrono::milliseconds drain{10'000};
};

// Serves until SIGTERM or SIGINT, and returns the exit status.
int run_echo(const EchoOptions& options);
