#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "server_test.hpp"

extern "C" {
// NOLINTBEGIN(*-reserved-identifier): the sanitizers' names
[[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());
// Some of these tests create children of a process with threads on purpose.
const char* __tsan_default_options();
const char* __tsan_default_options() { return "die_after_fork=0"; }
// NOLINTEND(*-reserved-identifier)
}

namespace {

// The original stderr, and the file that receives stderr during a test.
int real_stderr = -1;
int captured = -1;
off_t taken = 0;

void copy_captured() {
  std::array<char, 4096> text{};
  for (ssize_t count = 0; (count = ::pread(captured, text.data(), text.size(), taken)) > 0;
       taken += count) {
    [[maybe_unused]] const auto written =
        ::write(real_stderr, text.data(), static_cast<std::size_t>(count));
  }
}

// A test that hangs or crashes ends the program: what it left running would disturb other tests.
void end_program(int signal) {
  copy_captured();
  constexpr std::string_view text = "\nthe time of the test is over, or it crashed\n";
  [[maybe_unused]] const auto written = ::write(real_stderr, text.data(), text.size());
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

// The actions at the start of the program: a sanitizer's handlers, which print more than
// Boost.Test's.
constexpr std::array crashes{SIGSEGV, SIGBUS, SIGFPE, SIGILL};
using Dispositions = std::array<struct sigaction, crashes.size()>;
const Dispositions at_start = [] {
  Dispositions found{};
  for (std::size_t i = 0; i < crashes.size(); ++i)
    ::sigaction(crashes.at(i), nullptr, &found.at(i));
  return found;
}();

std::set<int> entries(const char* directory) {
  std::set<int> numbers;
  DIR* const opened = ::opendir(directory);
  while (const dirent* entry = ::readdir(opened)) {
    if (entry->d_name[0] != '.') numbers.insert(std::atoi(entry->d_name));
  }
  numbers.erase(::dirfd(opened));
  ::closedir(opened);
  return numbers;
}

void prepare_once() {
  static const bool done = [] {
    real_stderr = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    captured = ::memfd_create("stderr of a test", MFD_CLOEXEC);
    // A sanitizer's report, even one of a child, is in the captured text.
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(copy_captured);
    // With the first thread, sanitizers create threads and descriptors of their own.
    int first = 0;
    std::thread([&first] { first = ::gettid(); }).join();
    // A joined thread may still be listed for a moment.
    soon([first] { return !entries("/proc/self/task").contains(first); });
    return true;
  }();
  static_cast<void>(done);
}

bool has_children() {
  siginfo_t found{};
  return ::waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::string describe(const std::set<int>& descriptors) {
  std::string text;
  for (const int descriptor : descriptors) {
    std::array<char, 200> target{};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    if (::readlink(link.c_str(), target.data(), target.size() - 1) < 0) continue;
    text += " " + std::to_string(descriptor) + "=" + target.data();
  }
  return text;
}

}  // namespace

std::set<int> open_descriptors() { return entries("/proc/self/fd"); }

LeavesNothing::LeavesNothing() {
  prepare_once();
  for (std::size_t i = 0; i < crashes.size(); ++i) {
    ::sigaction(crashes.at(i), &at_start.at(i), nullptr);
  }
  for (const int signal : {SIGABRT, SIGALRM}) ::signal(signal, end_program);
  ::dup2(captured, STDERR_FILENO);
  descriptors_ = open_descriptors();
  threads_ = entries("/proc/self/task").size();
}

LeavesNothing::~LeavesNothing() {
  soon([this] { return open_descriptors() == descriptors_; }, 2s);
  BOOST_TEST(describe(open_descriptors()) == describe(descriptors_));
  BOOST_TEST(soon([this] { return entries("/proc/self/task").size() == threads_; }, 2s),
             "threads are left: " << entries("/proc/self/task").size() << " not " << threads_);
  BOOST_TEST(soon([] { return !has_children(); }, 2s), "children are left");
  ::dup2(real_stderr, STDERR_FILENO);
  BOOST_TEST(stderr_so_far() == "");
}

std::string LeavesNothing::stderr_so_far() {
  std::string text;
  std::array<char, 4096> some{};
  for (ssize_t count = 0; (count = ::pread(captured, some.data(), some.size(), taken)) > 0;
       taken += count) {
    text.append(some.data(), static_cast<std::size_t>(count));
  }
  return text;
}
