module;

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <gsl/assert>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

module net.handover;

import net.socket;

// How a successor is started.

namespace net {
namespace {

constexpr int first_inherited = 3;

[[noreturn]] void throw_errno(int error, const std::string& what) {
  throw std::system_error(error, std::system_category(), what);
}

struct Pipe {
  Descriptor out, in;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno(errno, "pipe2");
  return {Descriptor(above_standard_streams(ends[0])), Descriptor(above_standard_streams(ends[1]))};
}

// Returns the environment of this program, without the variables that were meant only for it.
std::vector<std::string> environment() {
  std::vector<std::string> all;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view text = *each;
    const auto is = [&](std::string_view name) { return text.starts_with(name); };
    if (is("LISTEN_PID=") || is("LISTEN_FDS=") || is("LISTEN_FDNAMES=") ||
        is("NETSERVE_READY_FD=") || is("NETSERVE_READY_PID=") || is("WATCHDOG_PID=")) {
      continue;
    }
    all.emplace_back(text);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  all.reserve(strings.size() + 1);
  for (std::string& each : strings) all.push_back(each.data());
  all.push_back(nullptr);
  return all;
}

// The data that the child needs. They are prepared before the fork: in the child, locks of other
// threads may be held forever.
struct Plan {
  std::vector<std::string> argument_texts;
  std::vector<std::string> environment_texts;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::array<char*, 2> process_digits{};  // after LISTEN_PID= and NETSERVE_READY_PID=
  std::vector<int> sockets;               // followed by the pipe
  int failed = -1;                        // the pipe that reports an error of exec
};

constexpr std::size_t most_digits = 12;

bool is_name(std::string_view text) noexcept {
  const auto fits = [](char c) { return c >= ' ' && c != '\x7f' && c != ':'; };
  return text.size() <= 255 && std::ranges::all_of(text, fits);
}

// This function is async-signal-safe.
[[noreturn]] void become(Plan& plan) noexcept {
  const auto count = static_cast<int>(plan.sockets.size());
  const auto tell_and_end = [&] {
    const int error = errno;
    if (::write(plan.failed, &error, sizeof error) < 0) ::_exit(126);
    ::_exit(127);
  };
  // Moves the descriptors above the numbers that they will get.
  for (int& socket : plan.sockets) {
    socket = ::fcntl(socket, F_DUPFD_CLOEXEC, first_inherited + count);
    if (socket < 0) tell_and_end();
  }
  plan.failed = ::fcntl(plan.failed, F_DUPFD_CLOEXEC, first_inherited + count);
  // A direct system call: the thread sanitizer would compare a call of dup3 with accesses to these
  // numbers by threads that do not exist in the child.
  for (int i = 0; i < count; ++i) {
    if (::syscall(SYS_dup3, plan.sockets[static_cast<std::size_t>(i)], first_inherited + i, 0) <
        0) {
      tell_and_end();
    }
  }
  // The successor must not inherit any other descriptor, even if it is not close-on-exec.
  ::syscall(SYS_close_range, first_inherited + count, ~0U, CLOSE_RANGE_CLOEXEC);
  int process = ::getpid();
  std::array<char, most_digits> digits{};
  std::size_t size = 0;
  for (; process > 0; process /= 10) digits[size++] = static_cast<char>('0' + process % 10);
  for (char* const to : plan.process_digits) {
    for (std::size_t i = 0; i < size; ++i) to[i] = digits[size - 1 - i];
    to[size] = '\0';
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(plan.arguments[0], plan.arguments.data(), plan.environment.data());
  tell_and_end();
  ::_exit(127);
}

}  // namespace

Successor::Successor(std::span<const std::string> argv, std::span<const Heirloom> sockets) {
  Expects(!argv.empty());
  Pipe ready = make_pipe();
  Pipe failed = make_pipe();
  Plan plan;
  plan.argument_texts.assign(argv.begin(), argv.end());
  plan.environment_texts = environment();
  std::string names;
  for (const Heirloom& heirloom : sockets) {
    Expects(is_name(heirloom.name));
    plan.sockets.push_back(heirloom.socket.fileno());
    if (&heirloom != sockets.data()) names += ':';
    names += heirloom.name;
  }
  const auto add = [&](std::string text) { plan.environment_texts.push_back(std::move(text)); };
  add("LISTEN_FDS=" + std::to_string(sockets.size()));
  add("LISTEN_FDNAMES=" + names);
  add("NETSERVE_READY_FD=" + std::to_string(first_inherited + static_cast<int>(sockets.size())));
  constexpr std::array<std::string_view, 2> told_to{"LISTEN_PID=", "NETSERVE_READY_PID="};
  for (const std::string_view name : told_to) {
    add(std::string(name) + std::string(most_digits, '0'));
  }
  plan.sockets.push_back(ready.in.get());
  plan.failed = failed.in.get();
  plan.arguments = pointers(plan.argument_texts);
  plan.environment = pointers(plan.environment_texts);
  const std::size_t first = plan.environment_texts.size() - told_to.size();
  for (std::size_t i = 0; i < told_to.size(); ++i) {
    plan.process_digits.at(i) = plan.environment_texts[first + i].data() + told_to.at(i).size();
  }

  // This runs no handlers of pthread_atfork(3), which are for the forks of the servers: this child
  // calls exec at once. The thread goes on only after the exec, or after the child has said why it
  // failed. The end of the pipe would not show that: a child that a server forks meanwhile has a
  // copy of the other end.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  process_ = static_cast<int>(::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
  if (process_ == 0) become(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (process_ < 0) throw_errno(error, "fork");
  ready.in.close();
  failed.in.close();
  ready_ = std::move(ready.out);
  pollfd said{failed.out.get(), POLLIN, 0};
  int refused = 0;
  if (::poll(&said, 1, 0) == 1 && (said.revents & POLLIN) != 0 &&
      ::read(failed.out.get(), &refused, sizeof refused) == sizeof refused) {
    kill_and_reap();
    throw_errno(refused, "exec " + argv.front());
  }
  ended_event_ =
      Descriptor(above_standard_streams(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0))));
}

Successor::~Successor() {
  if (!is_ready_) kill_and_reap();
}

void Successor::kill_and_reap() noexcept {
  if (ended()) return;
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
}

bool Successor::ended() noexcept {
  if (ended_) return true;
  const int found = ::waitpid(process_, nullptr, WNOHANG);
  // If this program ignores SIGCHLD, the kernel itself reaps the successor when it ends, and
  // waitpid then fails with ECHILD.
  ended_ = found == process_ || (found < 0 && errno == ECHILD);
  return ended_;
}

bool Successor::wait_until_ready(Deadline deadline) {
  while (!is_ready_) {
    // The end of the successor is an event of its own: its pipe does not end if a child of a server
    // has a copy.
    std::array<pollfd, 2> polled{{{ready_.get(), POLLIN, 0}, {ended_event_.get(), POLLIN, 0}}};
    const auto left = std::chrono::floor<std::chrono::milliseconds>(deadline.left()).count() + 1;
    const int most =
        deadline.passed() ? 0 : static_cast<int>(std::min<std::int64_t>(left, 3'600'000));
    const int found = ::poll(polled.data(), polled.size(), most);
    if (found < 0 && errno != EINTR) throw_errno(errno, "poll");
    if (found == 0 && deadline.passed()) return false;
    if (found <= 0) continue;
    char word = 0;
    if (polled[0].revents == 0 || ::read(ready_.get(), &word, 1) != 1) {
      kill_and_reap();  // the successor closed the pipe, so it will never announce that it is ready
      return false;
    }
    is_ready_ = true;
  }
  return true;
}

}  // namespace net
