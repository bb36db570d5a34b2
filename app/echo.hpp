// The echo server: what `netserve echo` runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "endpoint.hpp"

struct EchoOptions {
  std::vector<std::string> command;  // as the program was started
  std::vector<Endpoint> endpoints;
  std::string policy = "pool";
  std::string handler = "request";
  std::string framing = "none";
  std::string overload = "wait";
  std::size_t workers = 0;             // 0: the library decides
  std::size_t max_connections = 0;     // the same
  std::optional<std::string> proxies;  // networks: their PROXY headers are required
  std::size_t client_connections = 0;  // 0: as many as it likes
  double client_rate = 0;              // 0: as fast as it likes
  double client_burst = 10;
  std::string client_exempt;  // networks
  std::chrono::milliseconds request{20'000};
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds send{30'000};
  std::chrono::milliseconds drain{10'000};
  std::chrono::milliseconds keep_threads{5'000};
  std::chrono::milliseconds lame_duck{0};
  std::optional<Endpoint> monitor;                 // where to tell what is counted
  std::optional<std::chrono::milliseconds> stats;  // printed that often
};

// Says what is wrong with a list of networks; empty if nothing is.
std::string fault_of_networks(const std::string& list);

// Serves until SIGTERM or SIGINT, and returns the exit status.
int run_echo(const EchoOptions& options);
