// Clients of datagrams, made of system calls alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client.hpp"
#include "name.hpp"
#include "process.hpp"

namespace support {

class DatagramClient {
 public:
  // A socket of the place's family. It gets a name of its own: of a Unix socket that is `from`, or
  // one without file that the system picks.
  explicit DatagramClient(const Place& place, const std::string& from = {});

  // Returns 0, or what sendto(2) said: a Unix server that has no room now is not waited for.
  int try_send(std::string_view text) const;
  // Throws what it said; waits for room.
  void send(std::string_view text) const;
  // The next datagram; nothing if none comes in time.
  std::optional<std::string> receive(
      std::chrono::milliseconds within = std::chrono::seconds(10)) const;

  // Whether exactly that comes back, in time. Datagrams may get lost: what is not answered is sent
  // again after 200 ms, and answers that come late are passed over.
  bool echoes(const std::string& text,
              std::chrono::milliseconds within = std::chrono::seconds(10)) const;

  int fileno() const noexcept { return socket_.get(); }

 private:
  Name to_;
  Descriptor socket_;
};

// Sends a datagram to a UDP server from a port that need not be ours, by a raw socket; false if
// this process may not.
bool send_from_port(const Place& server, std::uint16_t port, std::string_view text);

}  // namespace support
