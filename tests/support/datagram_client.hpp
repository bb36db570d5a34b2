// Datagram clients, built on system calls only.
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
  // Opens a socket of the place's family. A Unix socket also gets a name: `from`, or a name without
  // a file that the system picks.
  explicit DatagramClient(const Place& place, const std::string& from = {});

  // Returns 0 or the error of sendto(2). Does not wait for a Unix server whose queue is full.
  int try_send(std::string_view text) const;
  // Throws the error of sendto(2). Waits for a Unix server whose queue is full.
  void send(std::string_view text) const;
  // Returns the next datagram, or nothing if none arrives in time.
  std::optional<std::string> receive(
      std::chrono::milliseconds within = std::chrono::seconds(10)) const;

  // Returns whether exactly this text comes back in time. Datagrams may get lost: without an answer
  // the client sends again after 200 ms, and it ignores late answers.
  bool echoes(const std::string& text,
              std::chrono::milliseconds within = std::chrono::seconds(10)) const;

  int fileno() const noexcept { return socket_.get(); }

 private:
  Name to_;
  Descriptor socket_;
};

// Sends a datagram to a UDP server by a raw socket, from any port, even one that is not ours.
// Returns false if this process may not do that.
bool send_from_port(const Place& server, std::uint16_t port, std::string_view text);

}  // namespace support
