// A well-behaved client beside clients that misbehave.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "demo.hpp"

namespace support {

// Asks for one answer again and again, and records the longest time that an answer took. For
// datagrams, it asks again when no answer arrives for a while.
class Canary {
 public:
  explicit Canary(const Line& server);
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;
  ~Canary();

  void join();
  // Read these after `join`. `wrong`: an answer was not its own. `missed`: no answer in 10 s.
  const std::string& wrong() const noexcept { return wrong_; }
  const std::string& missed() const noexcept { return missed_; }
  std::chrono::milliseconds longest() const noexcept;
  std::size_t times() const noexcept { return times_; }

 private:
  void sing(const Line& server);

  std::atomic<bool> stopped_{false};
  std::chrono::steady_clock::duration longest_{};
  std::string wrong_;
  std::string missed_;
  std::size_t times_ = 0;
  std::thread thread_;
};

}  // namespace support
