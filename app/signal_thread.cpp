#include <fcntl.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <string>
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
  return {.tv_sec = static_cast<time_t>(seconds.count()),
          .tv_nsec = static_cast<long>(std::chrono::nanoseconds(left - seconds).count())};
}

// Returns whether this process has a controlling terminal.
bool terminal_is_there() {
  const int terminal = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) ::close(terminal);
  return terminal >= 0;
}

}  // namespace

void SignalThread::block() {
  const sigset_t set = awaited();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalThread::SignalThread(std::vector<net::BaseServer*> servers, Options options)
    : servers_(std::move(servers)),
      options_(std::move(options)),
      has_terminal_(terminal_is_there()),
      thread_([this](const std::stop_token& stopped) { run(stopped); }) {}

SignalThread::~SignalThread() {
  thread_.request_stop();
  ::pthread_kill(thread_.native_handle(), SIGUSR1);
}

void SignalThread::run(const std::stop_token& stopped) {
  const sigset_t set = awaited();
  auto next = Clock::now();
  const auto& interval = options_.stats;
  if (interval) next += *interval;
  while (!stopped.stop_requested()) {
    auto wake = interval ? next : Clock::time_point::max();
    if (shut_down_at_) wake = std::min(wake, *shut_down_at_);
    if (options_.watchdog) wake = std::min(wake, next_watchdog_);
    const bool bounded = wake != Clock::time_point::max();
    const timespec time = bounded ? time_until(wake) : timespec{};
    const int signal = ::sigtimedwait(&set, nullptr, bounded ? &time : nullptr);
    if (stopped.stop_requested()) return;
    const bool hang_up = signal == SIGHUP && has_terminal_ && !terminal_is_there();
    if (signal == SIGTERM || signal == SIGINT || hang_up) {
      asked_to_stop(signal);
    } else if (signal == SIGHUP) {
      asked_to_restart();
    }
    if (shut_down_at_ && Clock::now() >= *shut_down_at_) shut_down();
    tell_watchdog_in_time();
    const bool due = interval && Clock::now() >= next;
    if (signal == SIGUSR1 || due) print_stats();
    if (due) next = std::max(next + *interval, Clock::now());
  }
}

void SignalThread::tell_watchdog_in_time() {
  if (!options_.watchdog || Clock::now() < next_watchdog_) return;
  options_.tell_watchdog();
  next_watchdog_ = Clock::now() + *options_.watchdog;
}

void SignalThread::asked_to_stop(int signal) {
  if (asked_.exchange(true)) {
    // When a terminal is closed, the kernel and the shell each send a SIGHUP.
    if (signal == SIGHUP) return;
    // This program drains for its successor, and was not asked to stop before.
    if (std::exchange(handed_over_, false)) return;
    for (net::BaseServer* server : servers_) server->kill_children();
    ::_exit(128 + signal);
  }
  for (net::BaseServer* server : servers_) server->set_ready(false);
  shut_down_at_ = Clock::now() + options_.lame_duck;
}

// The successor serves new clients from now on, so the servers need not be lame ducks first.
void SignalThread::asked_to_restart() {
  if (asked_ || !options_.restart([this] { tell_watchdog_in_time(); })) return;
  asked_ = handed_over_ = true;
  for (net::BaseServer* server : servers_) server->set_ready(false);
  shut_down();
}

void SignalThread::shut_down() {
  shut_down_at_.reset();
  for (net::BaseServer* server : servers_) server->shutdown();
  stop();
}

void SignalThread::print_stats() noexcept {
  try {
    const net::Stats stats = sum_of_stats(servers_);
    spdlog::info("stats: {}", net::to_string(stats));
    if (::isatty(STDERR_FILENO) == 0) return;
    const auto now = Clock::now();
    const std::string table = net::to_table(stats, printed_, now - printed_at_);
    if (table.empty()) return;  // nothing has been counted yet
    spdlog::info("totals, and rates per second since the last table:\n{}", table);
    printed_ = stats;
    printed_at_ = now;
  } catch (const std::exception&) {
    // Out of memory: the line is skipped.
  }
}

net::Stats sum_of_stats(const std::vector<net::BaseServer*>& servers) {
  net::Stats sum;
  for (const net::BaseServer* server : servers) sum += server->stats();
  return sum;
}
