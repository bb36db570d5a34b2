// What signals do to the demo. It imports, so it is the last include.
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

// Waits for signals in a thread of its own, so that what they ask for may take locks: SIGTERM and
// SIGINT shut the servers down, and after one of them another ends the program at once, children
// included; SIGHUP starts the next program and, when that serves, shuts the servers down, but if it
// comes from a terminal that is gone it is as SIGTERM; SIGUSR1 prints what the server counted, as
// the passing of each interval does. As a lame duck, servers go on for a while before they are shut
// down, and say that they want no new clients.
class SignalThread {
 public:
  struct Options {
    std::optional<std::chrono::milliseconds> stats;  // printed that often
    std::chrono::milliseconds lame_duck{0};
    // Whether the next program serves; calls meanwhile what it is given.
    std::function<bool(const std::function<void()>&)> restart;
    std::optional<std::chrono::milliseconds> watchdog;  // told that often
    std::function<void()> tell_watchdog;
  };

  // Keeps the signals for such a thread: to be called before there is any other.
  static void block();

  // The servers outlive this.
  SignalThread(std::vector<net::BaseServer*> servers, Options options);
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;
  ~SignalThread();

  // Waits until it is time to stop; true if a signal said so, false if `stop` did.
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
  std::optional<Clock::time_point> shut_down_at_;  // it is a lame duck until then
  Clock::time_point next_watchdog_ = Clock::now();
  std::counting_semaphore<> stop_{0};
  std::atomic<bool> asked_{false};
  bool handed_over_ = false;  // to the next program, and not asked to end since
  std::jthread thread_;
};

// What all of them have counted.
net::Stats sum_of_stats(const std::vector<net::BaseServer*>& servers);
