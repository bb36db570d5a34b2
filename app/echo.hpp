// The echo server that `netserve echo` runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "endpoint.hpp"

struct EchoOptions {
  std::vector<std::string> command;  // the command line of this program
  std::vector<Endpoint> endpoints;
  std::string policy = "pool";
  std::string handler = "request";
  std::string framing = "none";
  std::string overload = "wait";
  std::size_t workers = 0;             // 0: chosen by the library
  std::size_t max_connections = 0;     // 0: chosen by the library
  std::optional<std::string> proxies;  // networks of proxies, which must send PROXY headers
  std::size_t client_connections = 0;  // of one client at a time; 0: no limit
  double client_rate = 0;              // new connections of one client per second; 0: no limit
  double client_burst = 10;
  std::string client_exempt;  // networks
  std::chrono::milliseconds request{20'000};
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds send{30'000};
  std::chrono::milliseconds drain{10'000};
  std::chrono::milliseconds keep_threads{5'000};
  std::chrono::milliseconds lame_duck{0};
  std::optional<Endpoint> monitor;                 // where the monitor listens
  std::optional<std::chrono::milliseconds> stats;  // interval for printing the counters
};

// Returns what is wrong with a list of networks; empty if the list is valid.
std::string fault_of_networks(const std::string& list);

// Serves until SIGTERM or SIGINT, and returns the exit status.
int run_echo(const EchoOptions& options);
