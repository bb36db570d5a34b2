// A demo server that is made to meet a fault, and must come out of it as if nothing had been.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "demo.hpp"

namespace support {

class Survivor {
 public:
  // The starter is a program that runs the command behind its own arguments, such as
  // `injecting(...)`.
  explicit Survivor(const Words& arguments, const Words& starter = {},
                    const std::string& kind = "tcp");

  Client client() const { return echo.client(); }
  DatagramClient datagram_client() const { return echo.datagram_client(); }

  // What it has counted so far, by the names of net::Stats. What it complained of on the way is
  // kept for `complaints`.
  std::map<std::string, std::uint64_t> stats();
  // Polls until a counter is at least that; returns whether it came to that in 10 s.
  bool counts(const std::string& name, std::uint64_t at_least);

  // Its CPU time, its children's included, in microseconds; its descriptors, threads and children;
  // its resident memory in KiB.
  std::uint64_t cpu() const;
  std::size_t descriptors() const;
  std::size_t threads() const;
  std::size_t children() const { return child_processes().size(); }
  std::vector<pid_t> child_processes() const;
  std::size_t resident() const;

  // Lets the calls that `injecting` makes fail be as they are again.
  void end_injecting() const;

  // Waits until it has no more threads and children than at its start; false after 10 s.
  bool comes_to_rest() const;

  // True if it uses less than 5 % of a core.
  bool is_idle() const;

  // What each test of a fault ends with, all clients but those of the test's own being gone: a
  // fresh request is answered within a second, descriptors, threads and children are back where
  // they were when it started, it is idle, SIGTERM ends it with 0, and the sum of its stats holds.
  // Afterwards `complaints` has all lines of stderr but those of stats and of the drain.
  void common_end();
  const std::string& complaints() const noexcept { return complaints_; }
  // The lines in it.
  std::size_t complaint_lines() const;

  Echo echo;

 private:
  void sort_line(const std::string& line);

  std::map<std::string, std::uint64_t> stats_;
  std::string complaints_;
  std::size_t descriptors_;
  std::size_t threads_;
};

// A starter that fails system calls in the server and its children, as strace(1) says:
// `accept4:error=EMFILE:when=3..5`.
Words injecting(const std::string& what);

// Options of that policy, with one worker: strace(1) counts the calls of each thread by themselves.
Words under(const std::string& policy);

// Whether strace cannot do that here; says so if it cannot.
bool cannot_inject();

std::vector<Client> connect(const Survivor& server, std::size_t count);

}  // namespace support
