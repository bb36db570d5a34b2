// Clients of programs under test, made of system calls alone. No call waits for more than 10 s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "process.hpp"

namespace support {

// Where a program listens: a numeric address and its port, or the path of a Unix socket, in which a
// '@' begins a name without file.
struct Place {
  std::string host;
  std::uint16_t port = 0;
  std::string path;
};

// A connection.
class Client {
 public:
  // `from`, unless empty, is an address of our own. Throws std::system_error if nobody listens
  // there.
  explicit Client(const Place& place, const std::string& from = {});
  Client(const std::string& host, std::uint16_t port, const std::string& from = {})
      : Client(Place{host, port, {}}, from) {}

  void send(std::string_view text) const;
  // Sends what the connection takes; returns how much before it took nothing for 300 ms.
  std::size_t send_until_stuck() const;
  // Throws if the stream ends before.
  std::string receive(std::size_t count) const;
  std::string receive_line() const;
  // Up to the end of the stream; a reset is an end here.
  std::string receive_to_end() const;
  // Says that no more will be sent.
  void end_output() const;

  int fileno() const noexcept { return socket_.get(); }

 private:
  Descriptor socket_;
};

// Connects again and again until somebody listens there, or nobody any more.
Client wait_until_accepted(const Place& place);
void wait_until_refused(const Place& place);

// Sends messages[i] through clients[i], all at once, while receiving as many bytes from each;
// returns how many clients got their own bytes back.
std::size_t echo_all(std::span<const Client> clients, std::span<const std::string> messages);

}  // namespace support
