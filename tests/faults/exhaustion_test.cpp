// The demo server, from outside: it runs out of descriptors or memory, or the system runs out of
// buffers.

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// Limits the server's memory while an object of this class exists.
class MemoryLimit {
 public:
  MemoryLimit(pid_t process, std::size_t more) : process_(process) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    std::size_t kibibytes = 0;
    for (std::string word; status >> word;) {
      if (word == "VmSize:" && status >> kibibytes) break;
    }
    BOOST_REQUIRE(kibibytes > 0U);
    BOOST_REQUIRE(::prlimit(process_, RLIMIT_AS, nullptr, &before_) == 0);
    BOOST_REQUIRE(set({.rlim_cur = kibibytes * 1024 + more, .rlim_max = before_.rlim_max}));
  }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  ~MemoryLimit() { set(before_); }

 private:
  bool set(const rlimit& limit) const {
    return ::prlimit(process_, RLIMIT_AS, &limit, nullptr) == 0;
  }

  pid_t process_;
  rlimit before_{};
};

// Raises the limit of descriptors for the test's own clients. Returns false if the hard limit is
// too low.
bool may_open(std::size_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= descriptors) return true;
  limit.rlim_cur = descriptors;
  if (limit.rlim_max >= descriptors && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return true;
  BOOST_TEST_MESSAGE("too few descriptors for this test");
  return false;
}

// Many clients each send most of a line, which the server must buffer, and then its end. Returns
// how many got the line back. For a client that is dropped, sending fails or no answer arrives.
std::size_t answered(Survivor& server, std::size_t connections, bool asked_for_stats) {
  const std::string most_of_a_line(std::size_t{32} * 1024, 'x');
  const auto send = [](const Client& client, const std::string& text) {
    ::send(client.fileno(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  const std::vector<Client> clients = connect(server, connections);
  for (const Client& client : clients) send(client, most_of_a_line);
  // Without memory, the server may be unable to print the line with its statistics.
  if (asked_for_stats) server.echo.process.signal(SIGUSR1);
  for (const Client& client : clients) {
    send(client, "\n");
    client.end_output();
  }
  return static_cast<std::size_t>(std::ranges::count_if(clients, [&](const Client& client) {
    return client.receive_to_end() == most_of_a_line + '\n';
  }));
}

// Returns whether the test can cause a lack of memory here.
bool can_lack(std::size_t connections) {
  if (sanitized) BOOST_TEST_MESSAGE("a sanitizer does not survive a lack of memory");
  return !sanitized && may_open(connections + 50);
}

constexpr std::size_t many = 1000;

// Returns whether a tracer is attached to all threads of the process.
bool traced(pid_t process) {
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream status(task.path() / "status");
    int tracer = 0;
    for (std::string word; status >> word;) {
      if (word == "TracerPid:" && status >> tracer) break;
    }
    if (tracer == 0) return false;
  }
  return true;
}

}  // namespace

// --- descriptors --------------------------------------------------------------------------------

// With more connections allowed than descriptors, accept(2) itself meets the limit.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(it_waits_for_descriptors_without_haste,
                     data::make({"tcp", "unix"}) * data::make(policies) * data::make({false, true}),
                     kind, policy, too_many_allowed) {
#if __has_feature(address_sanitizer)
  if (too_many_allowed) {
    BOOST_TEST_MESSAGE("the sanitizer of undefined behaviour needs descriptors for its checks");
    return;
  }
#endif
  const auto begin = Clock::now();
  Words arguments{"--policy", policy};
  if (too_many_allowed) arguments.insert(arguments.end(), {"--max-connections", "1000"});
  Survivor server(arguments, {"prlimit", "--nofile=64:64"}, kind);
  {
    const Client established = server.client();
    BOOST_TEST(echoes(established));
    std::vector<Client> idle = connect(server, 200);
    BOOST_TEST(server.counts("accepted", 24));  // no more, because each one has a child
    BOOST_TEST(echoes(established));
    const auto cpu = server.cpu();
    const auto from = Clock::now();
    for (int i = 1; i <= 10; ++i) {
      std::this_thread::sleep_until(from + i * 100ms);  // the CPU time meanwhile is measured
      BOOST_TEST(echoes(established));
    }
    const auto used = std::chrono::microseconds(server.cpu() - cpu);
    BOOST_TEST((used < (Clock::now() - from) / 20), "CPU time: " << used.count() << " us");
    // The clients that have waited longest get the slots of those that leave.
    const std::uint64_t accepted = server.stats().at("accepted");
    BOOST_TEST(accepted < 64U);
    idle.erase(idle.begin(), idle.begin() + 20);
    BOOST_TEST(server.counts("accepted", accepted + 20));
    BOOST_TEST(echoes(established));
    // Now there are slots for all of the others.
    idle.erase(idle.begin(), idle.end() - 10);
    const auto left = Clock::now();
    BOOST_TEST(echoes(server.client()));
    BOOST_TEST((Clock::now() - left < 1s));
    BOOST_TEST(echoes(established));
  }
  server.common_end();
  const auto seconds = static_cast<std::size_t>((Clock::now() - begin) / 1s);
  BOOST_TEST(server.complaint_lines() <= (too_many_allowed ? seconds + 1 : 0), server.complaints());
  BOOST_TEST((server.complaint_lines() > 0) == too_many_allowed);
}

// --- memory --------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_lack_of_memory_costs_connections_and_no_more,
                     data::make(policies) * data::make({0, 256, 2048}), policy, more_kibibytes) {
  if (!can_lack(many)) return;
  Survivor server({"--policy", policy, "--framing", "line"});
  {
    const MemoryLimit limit(server.echo.process.pid(),
                            static_cast<std::size_t>(more_kibibytes) * 1024);
    BOOST_TEST(answered(server, many, false) < many);  // otherwise there was no lack
  }
  server.common_end();
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_lack_of_memory_may_be_asked_about, policies, policy) {
  if (!can_lack(many)) return;
  Survivor server({"--policy", policy, "--framing", "line"});
  {
    const MemoryLimit limit(server.echo.process.pid(), std::size_t{2} * 1024 * 1024);
    BOOST_TEST(answered(server, many, true) < many);
  }
  server.common_end();
}

// --- buffers -------------------------------------------------------------------------------------

// Each child has calls of its own that fail. All children together write one line a second.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(without_buffers_to_send_from_requests_fail_in_few_lines, policies, policy) {
  constexpr std::size_t connections = 30;
  if (cannot_inject()) return;
  Survivor server({"--policy", policy}, injecting("sendto:error=ENOBUFS"));
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < connections; ++i) {
    const Client client = server.client();
    client.send("hello\n");
    BOOST_TEST(client.receive_to_end().empty());
  }
  BOOST_TEST(server.counts("failed", connections));
  const auto seconds = static_cast<std::size_t>((Clock::now() - begin) / 1s);
  // At most one line a second.
  BOOST_TEST(server.complaint_lines() >= 1U);
  BOOST_TEST(server.complaint_lines() <= 1U + seconds, server.complaints());
  BOOST_TEST(server.echo.stop() == 0);
}

// --- watches of epoll -------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(clients_that_cannot_be_watched_are_dropped_with_few_lines, policies, policy) {
  if (cannot_inject()) return;
  constexpr std::size_t count = 20;
  Survivor server({"--policy", policy});
  const auto begin = Clock::now();
  {
    const pid_t process = server.echo.process.pid();
    Process tracer({"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=epoll_ctl", "-e",
                    "inject=epoll_ctl:error=ENOSPC", "-p", std::to_string(process)});
    BOOST_REQUIRE(soon([&] { return traced(process); }));
    for (std::size_t i = 0; i < count; ++i) {
      BOOST_TEST(server.client().receive_to_end().empty());
    }
    tracer.signal(SIGTERM);
    tracer.wait();
  }
  BOOST_TEST(server.counts("dropped", count));
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(Clock::now() - begin).count();
  server.common_end();
  BOOST_TEST(server.complaints().find("No space left on device") != std::string::npos,
             server.complaints());
  BOOST_TEST(server.complaint_lines() <= static_cast<std::size_t>(seconds) + 1,
             server.complaints());
}
