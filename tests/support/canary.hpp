// A client beside others that do what they like.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "demo.hpp"

namespace support {

// Comes again and again for one answer, and keeps the longest time that it took. One of datagrams
// asks again when it hears nothing for a while.
class Canary {
 public:
  explicit Canary(const Line& server);
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;
  ~Canary();

  void join();
  // Of these, once it is joined. What went wrong: an answer that was not its own; or none in 10 s.
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
