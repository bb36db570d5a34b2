// The demo server, from outside: more datagrams than it can take.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

constexpr std::size_t senders = 4;
// The drain timeout, and the additional time that a loaded machine takes.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr auto in_time = 8s;
#else
constexpr auto in_time = 3s;
#endif

// Sends as fast as it can, in several threads, until the object is destroyed.
class Flood {
 public:
  Flood(const Line& server, std::size_t size) {
    for (std::size_t i = 0; i < senders; ++i) {
      threads_.emplace_back([this, &server, size] {
        const DatagramClient client(server);
        // A server that has ended meanwhile causes errors.
        for (std::uint64_t sent = 0; !stopped_; ++sent) {
          client.try_send(pattern(size, sent));
          if (sent % 64 == 0) sent_ += 64;
        }
      });
    }
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() { stopped_ = true; }

  std::uint64_t sent() const noexcept { return sent_; }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> sent_{0};
  std::vector<std::jthread> threads_;
};

// Sends this many datagrams from each sender; returns how many the kernel took.
std::uint64_t send_all(const Line& server, std::size_t each) {
  std::atomic<std::uint64_t> sent{0};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < senders; ++i) {
    threads.emplace_back([&] {
      const DatagramClient client(server);
      for (std::size_t n = 0; n < each; ++n) {
        if (client.try_send("one of many") == 0) ++sent;
      }
    });
  }
  threads.clear();
  return sent;
}

std::uint64_t counted(Survivor& server) {
  const auto stats = server.stats();
  return stats.at("replies") + stats.at("replies_dropped") + stats.at("datagrams_lost");
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(120))
BOOST_DATA_TEST_CASE(each_of_a_hundred_thousand_datagrams_is_answered_or_counted, policies,
                     policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  const std::uint64_t sent = send_all(server.echo.line, 25'000);
  BOOST_TEST(sent == 100'000U);
  // Datagrams in the kernel's buffer, and those being served, are not counted yet.
  BOOST_TEST(soon([&] { return counted(server) >= sent; }, 60s));
  BOOST_TEST(server.comes_to_rest());  // a child has replied before it has ended
  const auto stats = server.stats();
  BOOST_TEST(counted(server) == sent);
  BOOST_TEST(stats.at("accepted") + stats.at("datagrams_lost") == sent);
  BOOST_TEST(stats.at("served") == stats.at("accepted"));
  BOOST_TEST_MESSAGE(policy << ": " << stats.at("replies") << " replies, "
                            << stats.at("replies_dropped") << " dropped, "
                            << stats.at("datagrams_lost") << " lost");
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// A client that never stops sending delays neither the stop nor the report of it.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(it_stops_amid_a_flood,
                     data::make(datagram_kinds) * data::make(policies) *
                         data::make({std::size_t{0}, std::size_t{20}, std::size_t{30'000}}),
                     kind, policy, size) {
  Echo echo({"--policy", policy, "--stats", "3600", "--drain-timeout", "1"}, {}, {}, kind);
  const Flood flood(echo.line, size);
  BOOST_TEST(soon([&] { return flood.sent() >= 1000; }));
  const auto begin = Clock::now();
  BOOST_TEST(echo.stop() == 0);
  const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  BOOST_TEST((lasted < in_time), lasted.count() << " ms");
  BOOST_TEST_MESSAGE(kind << ", " << policy << ", " << size << " bytes: " << lasted.count()
                          << " ms");
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(std::ranges::count(said, '\n') == 2, said);
  BOOST_TEST(said.ends_with(", stuck 0\n"), said);
}
