// The demo server with limits for each client, while one client takes all connections that it gets
// and another one opens connections without end: how much longer other clients wait. The same
// attack on another server is measured for comparison, to see how much of that is due to the load
// of the machine.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/program_test.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Closes by a reset, so that no port is left in TIME_WAIT.
void reset(const Client& client) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(client.fileno(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

bool has_ended(const Client& client) {
  char byte = 0;
  const auto count = ::recv(client.fileno(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN);
}

class Attack {
 public:
  explicit Attack(const Line& line)
      : holding_([this, &line] { hold(line); }), opening_([this, &line] { open(line); }) {}
  ~Attack() {
    stopped_ = true;
    holding_.join();
    opening_.join();
  }

 private:
  // Tries to hold 5,000 connections, and retries those that it does not get.
  void hold(const Line& line) {
    std::vector<std::optional<Client>> held(5'000);
    while (!stopped_) {
      for (auto& client : held) {
        if (stopped_) return;
        if (client && !has_ended(*client)) continue;
        if (client) reset(*client);
        client.reset();
        std::this_thread::sleep_for(200us);
        try {
          client.emplace(line, "127.1.0.2");
        } catch (const std::exception&) {
          // No space in the kernel's queue: try again.
        }
      }
    }
  }

  // Opens 10,000 connections a second.
  void open(const Line& line) {
    const auto begin = Clock::now();
    for (std::int64_t opened = 0; !stopped_; ++opened) {
      std::this_thread::sleep_until(begin + opened * 100us);
      try {
        reset(Client(line, "127.1.0.3"));
      } catch (const std::exception&) {
        // As above.
      }
    }
  }

  std::atomic<bool> stopped_{false};
  std::thread holding_;
  std::thread opening_;
};

// Returns the 99th percentile of the latencies of 2,000 requests, one each millisecond, over an
// open connection.
std::chrono::microseconds p99(const Client& client) {
  std::vector<Clock::duration> times;
  const auto begin = Clock::now();
  for (int i = 0; i < 2'000; ++i) {
    const auto due = begin + i * 1ms;
    std::this_thread::sleep_until(due);
    client.send("hello\n");
    BOOST_REQUIRE(client.receive(6) == "hello\n");
    times.push_back(Clock::now() - due);
  }
  std::ranges::sort(times);
  return std::chrono::duration_cast<std::chrono::microseconds>(times[times.size() * 99 / 100]);
}

}  // namespace

BOOST_AUTO_TEST_CASE(others_feel_nothing_of_a_greedy_client, *timeout(120)) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const Words limits{"--client-connections", "100", "--client-rate", "100",
                     "--client-burst",       "200"};
  Words all = limits;
  all.insert(all.end(), {"--stats", "3600"});
  Echo server(all);
  const Echo other(limits);
  const Client client = server.client();
  const auto alone = p99(client);
  std::chrono::microseconds attacked{};
  std::chrono::microseconds beside{};
  {
    const Attack attack(server.line);
    std::this_thread::sleep_for(500ms);
    attacked = p99(client);
    BOOST_TEST(echoes(server.line));  // a new client is served as well
  }
  {
    const Attack attack(other.line);
    std::this_thread::sleep_for(500ms);
    beside = p99(client);
  }
  BOOST_TEST_MESSAGE("p99: alone " << alone.count() << " us, attacked " << attacked.count()
                                   << " us, beside an attack on another server " << beside.count()
                                   << " us");
  BOOST_TEST((attacked < 2 * beside + 20ms));
  BOOST_TEST(server.stop() == 0);
  const std::string said = server.process.rest_of_stderr();
  BOOST_TEST(said.find(" shed_too_many=0 ") == std::string::npos, said);
  BOOST_TEST(said.find(" shed_too_fast=0 ") == std::string::npos, said);
}
