// The signal handling of the demo. This header imports modules, so include it last.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

import net.server;

// Waits for signals in its own thread, so that the reactions to them may take locks.
// SIGTERM and SIGINT shut the servers down. A second one ends the program at once, with its
// children.
// SIGHUP starts the successor and, when it serves, shuts the servers down. If the terminal was
// closed, SIGHUP acts like SIGTERM.
// SIGUSR1 prints the counters, as does each `stats` interval: in one line for programs, and on a
// terminal also as a table.
// As a lame duck, the servers continue to serve for a while before they are shut down, and report
// that they want no new clients.
class SignalThread {
 public:
  struct Options {
    std::optional<std::chrono::milliseconds> stats;  // interval for printing the counters
    std::chrono::milliseconds lame_duck{0};
    // Restarts the program, and returns whether the successor serves. Calls its argument while it
    // waits.
    std::function<bool(const std::function<void()>&)> restart;
    std::optional<std::chrono::milliseconds> watchdog;  // interval for notifying the watchdog
    std::function<void()> tell_watchdog;
  };

  // Blocks the signals, so that only the signal thread gets them. Call this before starting any
  // thread, because threads inherit the mask.
  static void block();

  // The servers must outlive this object.
  SignalThread(std::vector<net::BaseServer*> servers, Options options);
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;
  ~SignalThread();

  // Waits until it is time to stop. Returns true if a signal ended the wait, false if `stop` did.
  bool wait_for_stop() {
    stop_.acquire();
    return asked_;
  }
  void stop() { stop_.release(); }

 private:
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stopped);
  void asked_to_stop(int signal);
  void asked_to_restart();
  void tell_watchdog_in_time();
  void shut_down();
  void print_stats() noexcept;

  const std::vector<net::BaseServer*> servers_;
  const Options options_;
  const bool has_terminal_;
  std::optional<Clock::time_point> shut_down_at_;  // the servers are lame ducks until then
  Clock::time_point next_watchdog_ = Clock::now();
  net::Stats printed_;  // the counters of the last table
  Clock::time_point printed_at_ = Clock::now();
  std::counting_semaphore<> stop_{0};
  std::atomic<bool> asked_{false};
  bool handed_over_ = false;  // to the successor, with no request to stop since
  std::jthread thread_;
};

// Returns the sum of the counters of all servers.
net::Stats sum_of_stats(const std::vector<net::BaseServer*>& servers);
