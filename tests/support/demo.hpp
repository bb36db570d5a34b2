// The demo server as a program under test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client.hpp"
#include "process.hpp"

namespace support {

using Words = std::vector<std::string>;

inline const std::array<std::string, 4> policies{"pool", "thread", "fork", "inline"};

// The demo's command line with these arguments.
Words demo(const Words& arguments);

// The line that it prints for each endpoint.
struct Line {
  // Throws if the text is no such line.
  explicit Line(const std::string& text);
  Client client() const { return {host, port}; }

  std::string host;
  std::uint16_t port = 0;
  std::string description;  // what is in parentheses
};

// An echo server on a port of its own.
struct Echo {
  // The starter is a program that runs the command that follows its own arguments.
  explicit Echo(const Words& arguments = {}, const Process::Options& options = {},
                const Words& starter = {});

  Client client() const { return line.client(); }
  // Sends the signal and returns the exit status.
  int stop(int signal);
  int stop();

  Process process;
  Line line;
};

// Whether a client gets back what it sends.
bool echoes(const Client& client, const std::string& text = "hello\n");

// Bytes that differ from one seed and place to the next.
std::string pattern(std::size_t size, std::size_t seed);

// Whether a text is exactly one line.
bool one_line(const std::string& text);

}  // namespace support
