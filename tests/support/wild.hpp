// Clients that behave at random.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "client.hpp"
#include "datagram_client.hpp"
#include "demo.hpp"

namespace support {

// One of many clients in a poll loop.
class Wild {
 public:
  using Clock = std::chrono::steady_clock;
  using Random = std::mt19937_64;

  // Returns a client of the kind that the server serves. The server and the random source must
  // outlive it.
  static std::unique_ptr<Wild> client(const Line& server, std::uint64_t number, Random& random);

  Wild(const Wild&) = delete;
  Wild& operator=(const Wild&) = delete;
  virtual ~Wild();

  // The events that the client waits for.
  virtual pollfd interest() const noexcept = 0;
  virtual void go_on(short ready, Clock::time_point now) = 0;
  // Returns whether the client has received data that no client sent.
  bool wrong() const noexcept { return wrong_; }

 protected:
  Wild(const Line& server, std::uint64_t number, Random& random)
      : server_(server), number_(number), random_(random) {}

  std::uint64_t below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  std::chrono::milliseconds milliseconds_below(std::uint64_t bound) {
    return std::chrono::milliseconds(below(bound));
  }
  const Line& server() const noexcept { return server_; }
  std::uint64_t number() const noexcept { return number_; }
  void set_wrong() noexcept { wrong_ = true; }

 private:
  const Line& server_;
  const std::uint64_t number_;
  Random& random_;
  bool wrong_ = false;
};

}  // namespace support
