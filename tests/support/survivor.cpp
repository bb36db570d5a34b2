#include "survivor.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace support {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

fs::path proc(pid_t process) { return fs::path("/proc") / std::to_string(process); }

std::size_t entries(const fs::path& directory) {
  std::error_code gone;
  const fs::directory_iterator first(directory, gone);
  return gone ? 0 : static_cast<std::size_t>(std::distance(fs::begin(first), fs::end(first)));
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const auto& thread : fs::directory_iterator(proc(parent) / "task", gone)) {
    std::ifstream list(thread.path() / "children");
    for (pid_t child = 0; list >> child;) found.push_back(child);
  }
  return found;
}

std::size_t number_in_status(pid_t process, const std::string& name) {
  std::ifstream status(proc(process) / "status");
  for (std::string word; status >> word;) {
    std::size_t number = 0;
    if (word == name && status >> number) return number;
  }
  return 0;
}

// Returns the CPU time of all threads of the process, in microseconds. Unlike stat, this is exact
// to the nanosecond.
std::uint64_t cpu_of(pid_t process) {
  std::uint64_t sum = 0;
  std::error_code gone;
  for (const auto& task : fs::directory_iterator(proc(process) / "task", gone)) {
    std::uint64_t nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    sum += nanoseconds / 1000;
  }
  return sum;
}

// Adds --stats, and a short time for which idle threads are kept, so that a test sees them end.
Words told(Words arguments) {
  arguments.insert(arguments.end(), {"--stats", "3600"});
  const auto has = [&](const char* word) {
    return std::ranges::find(arguments, word) != arguments.end();
  };
  if (has("thread") && !has("--keep-threads")) {
    arguments.insert(arguments.end(), {"--keep-threads", "0.1"});
  }
  return arguments;
}

}  // namespace

Survivor::Survivor(const Words& arguments, const Words& starter, const std::string& kind)
    : echo(told(arguments), {}, starter, kind), descriptors_(descriptors()), threads_(threads()) {}

void Survivor::sort_line(const std::string& line) {
  const auto begin = line.find("info: stats: ");
  if (begin == std::string::npos) {
    if (line.find("info: drained ") == std::string::npos) complaints_ += line + '\n';
    return;
  }
  stats_.clear();
  std::istringstream words(line.substr(begin + 13));
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    stats_[word.substr(0, equals)] = std::stoull(word.substr(equals + 1));
  }
}

std::map<std::string, std::uint64_t> Survivor::stats() {
  stats_.clear();
  echo.process.signal(SIGUSR1);
  while (stats_.empty()) sort_line(echo.process.read_error_line());
  return stats_;
}

bool Survivor::counts(const std::string& name, std::uint64_t at_least) {
  return soon([&] { return stats().at(name) >= at_least; });
}

std::uint64_t Survivor::cpu() const {
  std::uint64_t sum = cpu_of(echo.process.pid());
  for (const pid_t child : children_of(echo.process.pid())) sum += cpu_of(child);
  return sum;
}

std::size_t Survivor::descriptors() const { return entries(proc(echo.process.pid()) / "fd"); }

std::size_t Survivor::threads() const { return entries(proc(echo.process.pid()) / "task"); }

std::vector<pid_t> Survivor::child_processes() const { return children_of(echo.process.pid()); }

std::size_t Survivor::resident() const { return number_in_status(echo.process.pid(), "VmRSS:"); }

void Survivor::end_injecting() const {
  const auto tracer = [this] { return number_in_status(echo.process.pid(), "TracerPid:"); };
  if (const auto process = static_cast<pid_t>(tracer()); process != 0) ::kill(process, SIGTERM);
  BOOST_REQUIRE(soon([&] { return tracer() == 0; }));
}

bool Survivor::comes_to_rest() const {
  return soon([this] { return threads() <= threads_ && children() == 0; });
}

bool Survivor::is_idle() const {
  // Earlier work may still be ending in the first of these windows.
  return soon(
      [this] {
        constexpr auto window = 100ms;
        const auto before = cpu();
        std::this_thread::sleep_for(window);
        return cpu() - before < std::chrono::microseconds(window).count() / 20;
      },
      3s);
}

void Survivor::common_end() {
  // A sanitizer's fork takes tens of milliseconds, and requests that came earlier are served first.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  constexpr auto patience = 10s;
#else
  constexpr auto patience = 1s;
#endif
  BOOST_TEST(echoes(echo.line, "hello\n", patience));
  BOOST_TEST(soon([this] { return descriptors() <= descriptors_; }),
             "descriptors: " << descriptors() << ", at the start: " << descriptors_);
  BOOST_TEST(comes_to_rest(), "threads: " << threads() << ", at the start: " << threads_
                                          << "; children: " << children());
  BOOST_TEST(is_idle(), "it is not idle");
  echo.process.signal(SIGTERM);
  std::istringstream rest(echo.process.rest_of_stderr());
  BOOST_TEST(echo.process.wait() == 0);
  for (std::string line; std::getline(rest, line);) sort_line(line);
  std::uint64_t ended = 0;
  for (const char* const end :
       {"served", "closed_idle", "shed", "timed_out", "failed", "cut", "dropped", "refused"}) {
    ended += stats_[end];
  }
  BOOST_TEST(ended == stats_["accepted"]);
}

std::size_t Survivor::complaint_lines() const {
  return static_cast<std::size_t>(std::ranges::count(complaints_, '\n'));
}

Words under(const std::string& policy) {
  Words words{"--policy", policy};
  if (policy == "pool") words.insert(words.end(), {"--workers", "1"});
  return words;
}

Words injecting(const std::string& what) {
  const std::string call = what.substr(0, what.find(':'));
  // -D: the server is our child, and the tracer is not. -I 2: the tracer reacts to signals. A
  // sanitizer's leak search needs ptrace for itself.
  return {"strace", "-D",
          "-f",     "-qq",
          "-I",     "2",
          "-o",     "/dev/null",
          "-E",     "ASAN_OPTIONS=detect_leaks=0",
          "-e",     "trace=" + call,
          "-e",     "inject=" + what};
}

bool cannot_inject() {
  static const bool can = [] {
    try {
      return Process({"strace", "-D", "-f", "-qq", "-o", "/dev/null", "true"}).wait() == 0;
    } catch (const std::exception&) {
      return false;
    }
  }();
  if (!can) BOOST_TEST_MESSAGE("strace cannot make calls fail here");
  return !can;
}

std::vector<Client> connect(const Survivor& server, std::size_t count) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(server.client());
  return clients;
}

}  // namespace support
