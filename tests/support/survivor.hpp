// A demo server that must recover completely from a fault.
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
  // The starter is a program with its arguments, which runs the command that follows them, such as
  // `injecting(...)`.
  explicit Survivor(const Words& arguments, const Words& starter = {},
                    const std::string& kind = "tcp");

  Client client() const { return echo.client(); }
  DatagramClient datagram_client() const { return echo.datagram_client(); }

  // Returns the counters so far, by their names in net::Stats. Error lines that are read meanwhile
  // are kept for `complaints`.
  std::map<std::string, std::uint64_t> stats();
  // Polls until a counter is at least `at_least`; returns false after 10 s.
  bool counts(const std::string& name, std::uint64_t at_least);

  // The CPU time with that of its children, in microseconds; the number of descriptors, threads and
  // children; the resident memory in KiB.
  std::uint64_t cpu() const;
  std::size_t descriptors() const;
  std::size_t threads() const;
  std::size_t children() const { return child_processes().size(); }
  std::vector<pid_t> child_processes() const;
  std::size_t resident() const;

  // Ends the failures of system calls that `injecting` causes.
  void end_injecting() const;

  // Waits until the server has no more threads and children than at its start; returns false after
  // 10 s.
  bool comes_to_rest() const;

  // Returns whether the server uses less than 5 % of a core.
  bool is_idle() const;

  // The end of each test of a fault, when only clients of the test itself are connected: checks
  // that a new request is answered within a second, that the numbers of descriptors, threads and
  // children are those at the start, that the server is idle, that SIGTERM ends it with 0, and that
  // the sum of its stats is right. Afterwards `complaints` has all lines of stderr except those of
  // stats and of the drain.
  void common_end();
  const std::string& complaints() const noexcept { return complaints_; }
  // Returns how many lines `complaints` has.
  std::size_t complaint_lines() const;

  Echo echo;

 private:
  void sort_line(const std::string& line);

  std::map<std::string, std::uint64_t> stats_;
  std::string complaints_;
  std::size_t descriptors_;
  std::size_t threads_;
};

// A starter that makes system calls fail in the server and its children, in the syntax of
// strace(1): `accept4:error=EMFILE:when=3..5`.
Words injecting(const std::string& what);

// Options for this policy, with one worker: strace(1) counts the calls of each thread separately.
Words under(const std::string& policy);

// Returns whether strace cannot make calls fail here; prints a message if so.
bool cannot_inject();

std::vector<Client> connect(const Survivor& server, std::size_t count);

}  // namespace support
