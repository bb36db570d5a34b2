// The demo server, from outside: what happens to clients beyond --max-connections.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

constexpr std::size_t places = 3;
const std::string request = "hello\n";

// Leaves out conversations under Inline: there, by design, the first conversation holds up all
// other clients until it ends.
auto kinds() {
  using boost::unit_test::data::make;
  return make(std::vector<std::string>{"pool", "thread", "fork", "inline", "pool", "thread",
                                       "fork"}) ^
         make(std::vector<std::string>{"request", "request", "request", "request", "conversation",
                                       "conversation", "conversation"});
}

// Returns whether bytes or the end of the stream arrive within that time.
bool hears(const Client& client, std::chrono::milliseconds within) {
  pollfd polled{client.fileno(), POLLIN, 0};
  return ::poll(&polled, 1, static_cast<int>(within.count())) == 1;
}

void leave(const Client& client) {
  client.end_output();
  BOOST_TEST(client.receive_to_end().empty());
}

// A server in which clients that have been served take all slots.
struct Full {
  Full(const std::string& policy, const std::string& handler, const std::string& overload)
      : server({"--policy", policy, "--handler", handler, "--max-connections",
                std::to_string(places), "--overload", overload}) {
    for (std::size_t i = 0; i < places; ++i) {
      clients.push_back(server.client());
      BOOST_TEST(echoes(clients.back()));
    }
  }

  // Closes all remaining clients.
  void empty() {
    for (const Client& client : clients) leave(client);
    clients.clear();
  }

  Survivor server;
  std::vector<Client> clients;
};

}  // namespace

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_waits_is_served_as_soon_as_one_leaves, kinds(), policy, handler) {
  Full full(policy, handler, "wait");
  const std::array<Client, 2> waiting{full.server.client(), full.server.client()};
  for (const Client& client : waiting) client.send(request);
  BOOST_TEST(full.server.is_idle());
  for (const Client& client : waiting) BOOST_TEST(!hears(client, 0ms));
  for (const Client& client : full.clients) BOOST_TEST(echoes(client));
  for (const Client& client : waiting) {
    leave(full.clients.back());
    full.clients.pop_back();
    BOOST_TEST(hears(client, 1s));
    BOOST_TEST(client.receive(request.size()) == request);
  }
  BOOST_TEST(echoes(full.clients.front()));
  full.empty();
  for (const Client& client : waiting) leave(client);
  BOOST_TEST(full.server.counts("served", places + waiting.size()));
  BOOST_TEST(full.server.stats().at("shed") == 0U);
  full.server.common_end();
  BOOST_TEST(full.server.complaints().empty(), full.server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_is_rejected_hears_of_it_at_once, kinds(), policy, handler) {
  constexpr std::uint64_t many = 100;
  Full full(policy, handler, "reject");
  for (std::uint64_t i = 0; i < many; ++i) {
    const Client rejected = full.server.client();
    BOOST_REQUIRE(hears(rejected, 1s));
    BOOST_TEST(rejected.receive_to_end().empty());
  }
  BOOST_TEST(full.server.counts("shed_rejected", many));
  BOOST_TEST(full.server.stats().at("shed_rejected") == many);
  for (const Client& client : full.clients) BOOST_TEST(echoes(client));
  BOOST_TEST(full.server.is_idle());
  full.empty();
  BOOST_TEST(full.server.counts("served", places));
  full.server.common_end();
  BOOST_TEST(full.server.complaints().empty(), full.server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_is_silent_makes_room_for_who_comes, kinds(), policy, handler) {
  Full full(policy, handler, "evict-idle");
  const auto begin = Clock::now();
  const Client fourth = full.server.client();
  BOOST_TEST(echoes(fourth));
  BOOST_TEST((Clock::now() - begin < 1s));
  BOOST_TEST(full.server.counts("shed_evicted", 1));
  std::erase_if(full.clients, [](const Client& client) {
    return hears(client, 100ms) && client.receive_to_end().empty();
  });
  BOOST_TEST_REQUIRE(full.clients.size() == places - 1);
  for (const Client& client : full.clients) BOOST_TEST(echoes(client));
  BOOST_TEST(echoes(fourth));
  BOOST_TEST(full.server.is_idle());
  BOOST_TEST(full.server.stats().at("shed_evicted") == 1U);
  full.empty();
  leave(fourth);
  BOOST_TEST(full.server.counts("served", places));
  full.server.common_end();
  BOOST_TEST(full.server.complaints().empty(), full.server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_has_been_longest_in_a_request_makes_room_too, policies, policy) {
  Survivor server({"--policy", policy, "--framing", "line", "--max-connections",
                   std::to_string(places), "--overload", "evict-idle"});
  std::vector<Client> busy;
  for (std::size_t i = 0; i < places; ++i) {
    busy.push_back(server.client());
    BOOST_TEST(echoes(busy.back()));
    busy.back().send("the first half");
  }
  // When the server is idle, it knows which requests have begun.
  BOOST_TEST(server.is_idle());
  const Client waiting = server.client();
  waiting.send(request);
  BOOST_TEST(hears(waiting, 2s));
  BOOST_TEST(waiting.receive(request.size()) == request);
  BOOST_TEST(server.counts("shed_evicted", 1));
  // One of the clients was evicted without an answer to its incomplete request. The others finish
  // their requests.
  std::erase_if(busy, [](const Client& client) {
    return hears(client, 100ms) && client.receive_to_end().empty();
  });
  BOOST_TEST(busy.size() == places - 1);
  for (const Client& client : busy) {
    client.send(", and the second\n");
    BOOST_TEST(client.receive_line() == "the first half, and the second\n");
  }
  busy.clear();
  leave(waiting);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}
