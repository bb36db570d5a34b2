// The echo server: what `netserve echo` runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "endpoint.hpp"

struct EchoOptions {
  std::vector<Endpoint> endpoints;
  std::string policy = "pool";
  std::string handler = "request";
  std::string framing = "none";
  std::string overload = "wait";
  std::size_t workers = 0;          // 0: the library decides
  std::size_t max_connections = 0;  // the same
  std::chrono::milliseconds request{20'000};
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds send{30'000};
  std::chrono::milliseconds drain{10'000};
  std::chrono::milliseconds keep_threads{5'000};
  std::optional<std::chrono::milliseconds> stats;  // printed that often
};

// Serves until SIGTERM or SIGINT, and returns the exit status.
int run_echo(const EchoOptions& options);
