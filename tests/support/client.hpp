// Clients of programs under test, built on system calls only. No call waits for more than 10 s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "process.hpp"

namespace support {

// The endpoint of a program: a numeric address and its port, or the path of a Unix socket. A path
// that begins with '@' is a name without a file.
struct Place {
  std::string host;
  std::uint16_t port = 0;
  std::string path;
};

// A connection.
class Client {
 public:
  // `from`, unless empty, is the local address. Throws std::system_error if no program listens
  // there.
  explicit Client(const Place& place, const std::string& from = {});
  Client(const std::string& host, std::uint16_t port, const std::string& from = {})
      : Client(Place{host, port, {}}, from) {}

  void send(std::string_view text) const;
  // Sends until the connection takes nothing for 300 ms; returns how many bytes it took.
  std::size_t send_until_stuck() const;
  // Throws if the stream ends earlier.
  std::string receive(std::size_t count) const;
  std::string receive_line() const;
  // Receives until the stream ends or is reset.
  std::string receive_to_end() const;
  // Ends the output of the connection.
  void end_output() const;

  int fileno() const noexcept { return socket_.get(); }

 private:
  Descriptor socket_;
};

// Connect repeatedly until a program listens there, or until none does any more.
Client wait_until_accepted(const Place& place);
void wait_until_refused(const Place& place);

// Sends messages[i] through clients[i], all at once, while receiving as many bytes from each.
// Returns how many clients got their own bytes back.
std::size_t echo_all(std::span<const Client> clients, std::span<const std::string> messages);

}  // namespace support
