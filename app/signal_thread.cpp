#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <utility>

// clang-format off: it imports, so it is the last include
#include "signal_thread.hpp"
// clang-format on

namespace {

using Clock = std::chrono::steady_clock;

sigset_t awaited() {
  sigset_t set{};
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  return set;
}

timespec time_until(Clock::time_point point) {
  const auto left = std::max(point - Clock::now(), Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(left - seconds).count()};
}

}  // namespace

void SignalThread::block() {
  const sigset_t set = awaited();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalThread::SignalThread(std::vector<net::BaseServer*> servers, Interval interval)
    : servers_(std::move(servers)),
      interval_(interval),
      thread_([this](const std::stop_token& stopped) { run(stopped); }) {}

SignalThread::~SignalThread() {
  thread_.request_stop();
  ::pthread_kill(thread_.native_handle(), SIGUSR1);
}

void SignalThread::run(const std::stop_token& stopped) {
  const sigset_t set = awaited();
  auto next = Clock::now();
  if (interval_) next += *interval_;
  while (!stopped.stop_requested()) {
    const timespec time = time_until(next);
    const int signal = ::sigtimedwait(&set, nullptr, interval_ ? &time : nullptr);
    if (stopped.stop_requested()) return;
    if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) {
      if (asked_.exchange(true)) {
        // The kernel and the shell each send one when a terminal is closed.
        if (signal == SIGHUP) continue;
        for (net::BaseServer* server : servers_) server->kill_children();
        ::_exit(128 + signal);
      }
      for (net::BaseServer* server : servers_) server->shutdown();
      stop();
      continue;
    }
    const bool due = interval_ && Clock::now() >= next;
    if (signal == SIGUSR1 || due) print_stats();
    if (due) next = std::max(next + *interval_, Clock::now());
  }
}

void SignalThread::print_stats() noexcept {
  try {
    spdlog::info("{}", describe(sum_of_stats(servers_)));
  } catch (const std::exception&) {
    // Without memory there is no line this time.
  }
}

net::Stats sum_of_stats(const std::vector<net::BaseServer*>& servers) {
  net::Stats sum;
  for (const net::BaseServer* server : servers) sum += server->stats();
  return sum;
}

std::string describe(const net::Stats& stats) {
  std::string line = "stats:";
  const std::initializer_list<std::pair<const char*, std::uint64_t>> counters{
      {"accepted", stats.accepted},
      {"active", stats.active},
      {"waiting", stats.waiting},
      {"parked", stats.parked},
      {"lingering", stats.lingering},
      {"served", stats.served},
      {"closed_idle", stats.closed_idle},
      {"shed", stats.shed},
      {"shed_waiting", stats.shed_waiting},
      {"shed_rejected", stats.shed_rejected},
      {"shed_evicted", stats.shed_evicted},
      {"shed_greedy", stats.shed_greedy},
      {"timed_out", stats.timed_out},
      {"failed", stats.failed},
      {"cut", stats.cut},
      {"dropped", stats.dropped},
      {"refused", stats.refused},
      {"drained", stats.drained},
      {"requests", stats.requests},
      {"replies", stats.replies},
      {"replies_dropped", stats.replies_dropped},
      {"datagrams_lost", stats.datagrams_lost},
      {"handler_errors", stats.handler_errors},
      {"hook_errors", stats.hook_errors},
      {"peer_gone", stats.peer_gone},
      {"time_outs", stats.time_outs},
      {"accept_errors", stats.accept_errors},
      {"policy_errors", stats.policy_errors},
  };
  for (const auto& [name, number] : counters) {
    line += ' ';
    line += name;
    line += '=';
    line += std::to_string(number);
  }
  return line;
}
