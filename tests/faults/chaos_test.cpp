// Clients that do at random whatever clients do, all at the same time, while a canary must be
// answered.
//
//     NETSERVE_CHAOS_SECONDS   how long, for each row; 1 unless given
//     NETSERVE_CHAOS_SEED      the number that a failed run printed, to repeat that run

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "support/canary.hpp"
#include "support/demo.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"
#include "support/wild.hpp"

namespace {

// Under a sanitizer, a fork alone takes tens of milliseconds. There, the canary must be answered,
// but not in time.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool punctual = false;
#else
constexpr bool punctual = true;
#endif
constexpr auto canary_patience = 1s;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::stoull(text) : otherwise;
}

// The kind of endpoint, and the policy.
struct Row {
  std::string kind;
  std::string policy;
  friend std::ostream& operator<<(std::ostream& out, const Row& row) {
    return out << row.kind << ", " << row.policy;
  }
};

const std::vector<Row> rows{
    {"tcp", "pool"},
    {"tcp", "thread"},
    {"tcp", "fork"},
    {"tcp", "inline"},
    {"tcp", "pool --framing line"},
    {"tcp", "inline --framing line"},
    {"tcp", "thread --handler conversation"},
    {"tcp", "fork --handler conversation --framing line"},
    {"tcp", "pool --max-connections 40 --overload evict-idle"},
    {"tcp", "pool --max-connections 190"},
    {"udp", "pool"},
    {"udp", "thread"},
    {"udp", "fork"},
    {"udp", "inline"},
    {"unix", "pool"},
    {"unix", "thread --handler conversation"},
    {"unix", "fork"},
    {"unix", "inline --framing line"},
    {"unixgram", "pool"},
    {"unixgram", "thread"},
    {"unixgram", "fork"},
    {"unixgram", "inline"},
};

Words words_of(const Row& row) {
  Words words{"--policy"};
  std::istringstream text(row.policy);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

}  // namespace

BOOST_DATA_TEST_CASE(a_canary_is_answered_amid_chaos, rows, row) {
  const auto seed = number_from("NETSERVE_CHAOS_SEED", std::random_device{}());
  const auto seconds = std::chrono::seconds(number_from("NETSERVE_CHAOS_SECONDS", 1));
  std::cout << "chaos: " << row << ", seed " << seed << std::endl;
  Wild::Random random(seed);
  Words arguments = words_of(row);
  arguments.insert(arguments.end(),
                   {"--idle-timeout", "1", "--request-timeout", "1", "--send-timeout", "1"});
  Survivor survivor(arguments, {}, row.kind);
  {
    std::vector<std::unique_ptr<Wild>> clients;
    // Under a sanitizer, a fork takes tens of milliseconds, so more clients would only fill the
    // server's queue. So would more datagrams, because a datagram that is not taken in time stays
    // there.
    const std::uint64_t most = !punctual ? 40 : survivor.echo.line.stream() ? 150 : 30;
    for (std::uint64_t number = 0; number < most; ++number) {
      clients.push_back(Wild::client(survivor.echo.line, number, random));
    }
    Canary canary(survivor.echo.line);
    std::vector<pollfd> polled(clients.size());
    auto next_look = Clock::now();
    for (const auto end = Clock::now() + seconds; Clock::now() < end;) {
      std::ranges::transform(clients, polled.begin(),
                             [](const auto& client) { return client->interest(); });
      ::poll(polled.data(), polled.size(), 10);
      const auto now = Clock::now();
      for (std::size_t i = 0; i < clients.size(); ++i) {
        clients.at(i)->go_on(polled.at(i).revents, now);
      }
      if (now < next_look) continue;
      next_look = now + 200ms;
      const auto stats = survivor.stats();
      BOOST_TEST(stats.at("accepted") >= stats.at("served") + stats.at("shed"));
    }
    canary.join();
    BOOST_TEST(canary.wrong() == "");
    if (punctual) BOOST_TEST(canary.missed() == "");
    const auto longest = canary.longest();
    std::cout << "chaos: " << row << ": the canary's longest wait: " << longest.count() << " ms; "
              << survivor.stats().at("accepted") << " accepted, " << survivor.stats().at("requests")
              << " requests, " << survivor.stats().at("datagrams_lost") << " lost" << std::endl;
    if (punctual) BOOST_TEST((longest <= canary_patience));
    BOOST_TEST(std::ranges::none_of(clients, [](const auto& client) { return client->wrong(); }));
  }
  survivor.common_end();
  BOOST_TEST(survivor.complaints() == "");
}
