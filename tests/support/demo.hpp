// The demo server as a program under test.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "client.hpp"
#include "datagram_client.hpp"
#include "process.hpp"

namespace support {

using Words = std::vector<std::string>;

inline const std::array<std::string, 4> policies{"pool", "thread", "fork", "inline"};

// The kinds of endpoints of a server. "unix@" is a name without a file.
inline const std::array<std::string, 5> endpoint_kinds{"tcp", "udp", "unix", "unix@", "unixgram"};
inline const std::array<std::string, 3> stream_kinds{"tcp", "unix", "unix@"};
inline const std::array<std::string, 2> datagram_kinds{"udp", "unixgram"};

// A temporary directory, removed with its contents when this object is destroyed.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  // Returns an unused endpoint of this kind: a port that the system picks, or a path in this
  // directory.
  std::string endpoint(const std::string& kind) const;

 private:
  std::string directory_;
};

// Returns the demo's command line with these arguments.
Words demo(const Words& arguments);

// The line that the demo prints for each endpoint.
struct Line : Place {
  // Throws if the text is not such a line.
  explicit Line(const std::string& text);
  Client client() const { return Client(*this); }
  DatagramClient datagram_client() const { return DatagramClient(*this); }
  bool stream() const { return scheme == "tcp" || scheme == "unix"; }
  // Returns the endpoint in the form that --listen takes.
  std::string endpoint() const;

  std::string scheme;
  std::string description;  // the text in parentheses
};

// An echo server on an endpoint of its own.
struct Echo {
  // The starter is a program with its arguments, which runs the command that follows them.
  explicit Echo(const Words& arguments = {}, const Process::Options& options = {},
                const Words& starter = {}, const std::string& kind = "tcp");

  Client client() const { return line.client(); }
  DatagramClient datagram_client() const { return line.datagram_client(); }
  // Sends the signal and returns the exit status.
  int stop(int signal);
  int stop();

  Scratch scratch;
  Process process;
  Line line;
};

// Returns whether a client gets back what it sends.
bool echoes(const Client& client, const std::string& text = "hello\n");
// The same with a new client of the line's kind.
bool echoes(const Line& line, const std::string& text = "hello\n",
            std::chrono::milliseconds within = std::chrono::seconds(10));

// Returns bytes that depend on the seed and on their position.
std::string pattern(std::size_t size, std::size_t seed);

// Returns whether a text is exactly one line.
bool one_line(const std::string& text);

}  // namespace support
