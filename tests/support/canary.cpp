#include "canary.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

namespace support {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

}  // namespace

Canary::Canary(const Line& server) : thread_([this, &server] { sing(server); }) {}

Canary::~Canary() { join(); }

void Canary::join() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

std::chrono::milliseconds Canary::longest() const noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest_);
}

void Canary::sing(const Line& server) {
  while (!stopped_) {
    const auto begin = Clock::now();
    try {
      // Ignores datagrams that are not its own answer.
      if (!echoes(server, "canary\n")) (server.stream() ? wrong_ : missed_) = "no such answer";
    } catch (const std::exception& error) {
      missed_ = error.what();
    }
    longest_ = std::max(longest_, Clock::now() - begin);
    ++times_;
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace support
