// What signals do to the demo. It imports, so it is the last include.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

import net.server;

// Waits for signals in a thread of its own, so that what they ask for may take locks: SIGTERM,
// SIGINT and SIGHUP shut the servers down, and after one of them SIGTERM and SIGINT end the program
// at once, children included; SIGUSR1 prints what the server counted, as the passing of each
// interval does.
class SignalThread {
 public:
  using Interval = std::optional<std::chrono::milliseconds>;

  // Keeps the signals for such a thread: to be called before there is any other.
  static void block();

  // The servers outlive this.
  SignalThread(std::vector<net::BaseServer*> servers, Interval interval);
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
  void run(const std::stop_token& stopped);
  void print_stats() noexcept;

  const std::vector<net::BaseServer*> servers_;
  const Interval interval_;
  std::counting_semaphore<> stop_{0};
  std::atomic<bool> asked_{false};
  std::jthread thread_;
};

// What all of them have counted.
net::Stats sum_of_stats(const std::vector<net::BaseServer*>& servers);

// What was counted, as one line: a word `name=number` for each of the members of net::Stats.
std::string describe(const net::Stats& stats);
