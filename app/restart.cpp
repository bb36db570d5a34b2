#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>

// clang-format off: these import, so they are the last includes
#include "endpoint.hpp"
#include "restart.hpp"
// clang-format on

import net.socket;

namespace {

using namespace std::chrono_literals;

constexpr auto time_to_start = 20s;

bool asked_to_end() {
  sigset_t pending{};
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGINT) == 1;
}

// sd_notify(3): a manager that reloads by SIGHUP compares this time with its own clock.
std::string reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds);
}

// Throws an error if the successor does not become ready.
void start_and_wait(const std::vector<std::string>& command,
                    const std::vector<net::Heirloom>& heirlooms,
                    const std::function<void()>& while_waiting) {
  net::Successor successor(command, heirlooms);
  const net::Deadline deadline(time_to_start);
  while (!successor.wait_until_ready(100ms)) {
    while_waiting();
    if (successor.ended()) throw std::runtime_error("the new process ended before it was ready");
    if (asked_to_end()) throw std::runtime_error("this process was asked to stop");
    if (deadline.passed()) throw std::runtime_error("the new process was not ready after 20 s");
  }
  spdlog::info("restarted as process {}", successor.process());
  // A request to stop that came during the restart is meant for both processes.
  if (asked_to_end()) ::kill(successor.process(), SIGTERM);
}

}  // namespace

void Restart::tell_ready(const std::string& status) const {
  net::notify_ready();
  net::notify("STATUS=" + status);
  // From now on the service manager, if any, keeps the sockets as well.
  if (std::getenv("NOTIFY_SOCKET") != nullptr) net::store_sockets(heirlooms_());
}

void Restart::forget_stored() {
  for (const std::string name : {owned_name, listener_name, monitor_name}) {
    net::notify("FDSTOREREMOVE=1\nFDNAME=" + name);
  }
}

bool Restart::run(const std::function<void()>& while_waiting) const {
  net::notify(reloading());
  try {
    start_and_wait(command_, heirlooms_(), while_waiting);
    return true;
  } catch (const std::exception& error) {
    spdlog::error("cannot restart, so this process continues: {}", error.what());
  }
  net::notify("READY=1");
  return false;
}
