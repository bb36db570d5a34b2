// A part of <netserve/policy_conformance.hpp>: waiting for events, and the check of what a test
// leaves behind. Imports nothing.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace net::conformance {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long a test waits for an event that should follow at once: far more than a busy machine
/// takes.
inline constexpr milliseconds patience = 10s;

/// An event that happens once, visible to threads and children.
class Gate {
 public:
  Gate() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { ::close(descriptor_); }

  void open() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
  }
  /// Returns false if the gate did not open in time.
  bool wait(milliseconds within = patience) const {
    const auto end = Clock::now() + within;
    for (;;) {
      pollfd polled{descriptor_, POLLIN, 0};
      const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
      const int ready = ::poll(&polled, 1, left > 0 ? static_cast<int>(left) : 0);
      if (ready >= 0 || errno != EINTR) return ready > 0;
    }
  }
  bool is_open() const { return wait(0ms); }

 private:
  int descriptor_;
};

/// An object that a process shares with its children.
template <class T>
class Shared {
 public:
  Shared()
      : object_(new(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                           -1, 0)) T{}) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(object_, sizeof(T)); }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }

 private:
  T* object_;
};

/// Polls until a condition holds, and returns false if it does not hold in time. For changes that
/// no event reports, such as those in /proc.
inline bool soon(const std::function<bool()>& condition, milliseconds within = patience) {
  for (const auto end = Clock::now() + within; !condition();) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

inline std::size_t entries_of(const char* directory) {
  std::size_t count = 0;
  DIR* const opened = ::opendir(directory);
  if (opened == nullptr) return 0;
  while (const dirent* const entry = ::readdir(opened)) count += entry->d_name[0] != '.' ? 1U : 0U;
  ::closedir(opened);
  return count;
}
inline std::size_t threads_of_this_process() { return entries_of("/proc/self/task"); }
inline std::size_t descriptors_of_this_process() { return entries_of("/proc/self/fd") - 1; }
inline bool has_children() {
  siginfo_t found{};
  return ::waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Blocks all signals in the calling thread until the object is destroyed, so that threads started
/// meanwhile block them too.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

/// The time limit of a test: 60 s, or as many seconds as NETSERVE_CONFORMANCE_SECONDS says.
inline std::chrono::seconds time_of_a_test() {
  const char* const seconds = std::getenv("NETSERVE_CONFORMANCE_SECONDS");
  return std::chrono::seconds(seconds != nullptr ? std::max(1, std::atoi(seconds)) : 60);
}

/// Prints what hung and ends the program, unless the watchdog is destroyed in time. A hanging
/// thread of a policy cannot be ended in any other way.
class Watchdog {
 public:
  Watchdog(std::string what, std::chrono::seconds within)
      : what_(std::move(what)), within_(within) {
    const NoSignals none;
    thread_ = std::thread([this] { watch(); });
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// Sets what the test waits for from now on.
  void step(std::string text) {
    const std::lock_guard lock(mutex_);
    step_ = std::move(text);
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    const auto end = Clock::now() + within_;
    if (changed_.wait_until(lock, end, [this] { return over_; })) return;
    std::cout.flush();
    std::fprintf(stderr,
                 "\nerror: %s: the policy hung: after %lld s, the test still waits for %s\n",
                 what_.c_str(), static_cast<long long>(within_.count()), step_.c_str());
    std::fflush(nullptr);
    std::_Exit(EXIT_FAILURE);
  }

  const std::string what_;
  const std::chrono::seconds within_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string step_ = "its beginning";
  bool over_ = false;
  std::thread thread_;
};

/// Opens a gate after a while, so that a stuck handler does not block the test forever.
class Later {
 public:
  Later(Gate& gate, milliseconds after) : gate_(gate) {
    const NoSignals none;
    thread_ = std::thread([this, after] {
      if (!now_.wait(after)) gate_.open();
    });
  }
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;
  ~Later() { open(); }
  /// Opens the gate now, unless it is open.
  void open() {
    if (!thread_.joinable()) return;
    now_.open();
    thread_.join();
    gate_.open();
  }

 private:
  Gate& gate_;
  Gate now_;
  std::thread thread_;
};

}  // namespace net::conformance
