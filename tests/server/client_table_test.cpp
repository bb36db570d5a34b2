// Counts of connections for each client. No test can import the table, so this file is a part of
// its module.

module;

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

module net.server:client_table_test;

import net.socket;
import :client_table;
import :options;

using boost::unit_test::timeout;
using net::Address;
using net::ClientLimits;
using net::ClientPlace;
using net::ClientTable;
using Verdict = net::ClientTable::Verdict;

namespace {

const Address alice("192.0.2.1", 1);
const Address bob("192.0.2.2", 1);

Verdict admit(ClientTable& table, const Address& client) {
  ClientPlace place;
  return table.admit(client, place);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_client_has_so_many_at_once, *timeout(10)) {
  const ClientLimits limits{.connections = 2};
  ClientTable table(limits);
  ClientPlace first;
  BOOST_TEST((table.admit(alice, first) == Verdict::admitted));
  BOOST_TEST((admit(table, alice) == Verdict::admitted));
  BOOST_TEST((admit(table, alice) == Verdict::too_many));
  BOOST_TEST((admit(table, bob) == Verdict::admitted));
  first.leave();
  first.leave();  // a slot is given back once
  BOOST_TEST((admit(table, alice) == Verdict::admitted));
  BOOST_TEST((admit(table, alice) == Verdict::too_many));
}

BOOST_AUTO_TEST_CASE(a_client_opens_so_many_at_once_and_then_as_time_passes, *timeout(10)) {
  ClientTable table({.per_second = 20, .burst = 3});
  for (int i = 0; i < 3; ++i) {
    ClientPlace place;
    BOOST_TEST((table.admit(alice, place) == Verdict::admitted));
    place.leave();
  }
  BOOST_TEST((admit(table, alice) == Verdict::too_fast));
  BOOST_TEST((admit(table, bob) == Verdict::admitted));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  BOOST_TEST((admit(table, alice) == Verdict::admitted));
}

BOOST_AUTO_TEST_CASE(a_client_is_its_network, *timeout(10)) {
  ClientTable table({.connections = 1, .ipv4_bits = 24});
  BOOST_TEST((admit(table, Address("192.0.2.1", 1)) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("192.0.2.255", 2)) == Verdict::too_many));
  BOOST_TEST((admit(table, Address("::ffff:192.0.2.9", 3)) == Verdict::too_many));
  BOOST_TEST((admit(table, Address("192.0.3.1", 1)) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("2001:db8::1", 1)) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("2001:db8::ffff:1", 1)) == Verdict::too_many));
  BOOST_TEST((admit(table, Address("2001:db8:0:1::1", 1)) == Verdict::admitted));
}

BOOST_AUTO_TEST_CASE(who_is_exempt_is_not_metered, *timeout(10)) {
  ClientTable table({.connections = 1, .exempt = net::Networks("192.0.2.1")});
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST((admit(table, alice) == Verdict::admitted));
    BOOST_TEST((admit(table, Address::unix_unnamed()) == Verdict::admitted));
  }
  BOOST_TEST(table.size() == 0U);
}

BOOST_AUTO_TEST_CASE(a_full_table_meters_all_others_together, *timeout(10)) {
  ClientTable table({.connections = 2, .most_clients = 3});
  std::vector<ClientPlace> places(3);
  for (int i = 0; i < 3; ++i) {
    const Address client("10.0.0." + std::to_string(i), 1);
    BOOST_TEST((table.admit(client, places[static_cast<std::size_t>(i)]) == Verdict::admitted));
  }
  BOOST_TEST((admit(table, alice) == Verdict::admitted));
  BOOST_TEST((admit(table, bob) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("192.0.2.3", 1)) == Verdict::too_many));
  BOOST_TEST(table.size() == 3U);
  // A client without connections is forgotten to make an entry free for a new one.
  places[1].leave();
  BOOST_TEST((admit(table, Address("192.0.2.4", 1)) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("192.0.2.5", 1)) == Verdict::too_many));
  BOOST_TEST((admit(table, Address("10.0.0.0", 1)) == Verdict::admitted));
  BOOST_TEST((admit(table, Address("10.0.0.0", 1)) == Verdict::too_many));
  BOOST_TEST(table.size() == 3U);
}

BOOST_AUTO_TEST_CASE(who_was_too_fast_is_not_forgotten_for_that, *timeout(10)) {
  ClientTable table({.per_second = 0.001, .burst = 1, .most_clients = 1});
  ClientPlace place;
  BOOST_TEST((table.admit(alice, place) == Verdict::admitted));
  place.leave();
  ClientPlace other;
  BOOST_TEST((table.admit(bob, other) == Verdict::admitted));
  other.leave();
  BOOST_TEST((admit(table, alice) == Verdict::too_fast));
  BOOST_TEST((admit(table, bob) == Verdict::too_fast));
  BOOST_TEST((admit(table, Address("192.0.2.3", 1)) == Verdict::too_fast));
}

// An attacker with a /32 of IPv6 has as many /64 networks as there are IPv4 addresses, and each of
// them counts as a client.
BOOST_AUTO_TEST_CASE(its_memory_is_bounded_whoever_comes, *timeout(60)) {
  constexpr std::size_t most = 1000;
  ClientTable table({.connections = 5, .per_second = 1, .burst = 5, .most_clients = most});
  for (unsigned i = 0; i < 20'000; ++i) {
    ClientPlace place;
    table.admit(Address("2001:db8:" + std::to_string(i % 10'000) + "::1", 1), place);
    if (i % 2 == 0) place.leave();
  }
  BOOST_TEST(table.size() == most);
  BOOST_TEST_MESSAGE(table.most_memory());
  BOOST_TEST(table.most_memory() < 200 * most);
}

BOOST_AUTO_TEST_CASE(many_threads_share_a_table, *timeout(60)) {
  ClientTable table({.connections = 3, .most_clients = 8});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&table, t] {
      for (int i = 0; i < 5'000; ++i) {
        ClientPlace place;
        table.admit(Address("10.0." + std::to_string(t % 2) + "." + std::to_string(i % 16), 1),
                    place);
        place.leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 3; ++i) BOOST_TEST((admit(table, alice) == Verdict::admitted));
  BOOST_TEST((admit(table, alice) == Verdict::too_many));
}
