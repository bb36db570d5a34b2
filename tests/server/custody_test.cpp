// Which thread may touch a connection, tested without any connection.

module;

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <thread>
#include <vector>

module net.server:custody_test;

import :custody;

using boost::unit_test::timeout;
using net::Custody;

BOOST_AUTO_TEST_SUITE(server_custody)

BOOST_AUTO_TEST_CASE(what_is_parked_is_taken_once, *timeout(10)) {
  Custody custody;
  BOOST_TEST(!custody.claim());
  BOOST_TEST(custody.park());
  BOOST_TEST(custody.parked());
  BOOST_TEST(custody.claim());
  BOOST_TEST(!custody.claim());
  BOOST_TEST(!custody.parked());
}

BOOST_AUTO_TEST_CASE(an_event_takes_what_is_parked, *timeout(10)) {
  Custody custody;
  custody.begin_parked();
  BOOST_TEST(custody.event());
  BOOST_TEST(custody.park());
}

BOOST_AUTO_TEST_CASE(an_event_while_it_runs_makes_one_park_fail, *timeout(10)) {
  Custody custody;
  BOOST_TEST(!custody.event());
  BOOST_TEST(!custody.event());
  BOOST_TEST(!custody.claim());
  BOOST_TEST(!custody.park());
  BOOST_TEST(custody.park());
}

// A connection never has more than one owner, and no event is lost between two parks.
BOOST_AUTO_TEST_CASE(it_has_one_owner_whoever_asks, *timeout(30)) {
  constexpr std::uint64_t events = 200'000;
  Custody custody;
  std::atomic<int> owners{1};
  std::atomic<bool> wrong{false};
  std::atomic<std::uint64_t> seen{0};
  std::atomic<std::uint64_t> sent{0};
  // What an owner does: it handles everything that was sent before, and parks.
  const auto run = [&] {
    do {
      if (owners.load() != 1) wrong = true;
      seen.store(sent.load());
      owners.fetch_sub(1);
      if (custody.park()) return;
      owners.fetch_add(1);
    } while (true);
  };
  run();
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t left = events; left > 0; --left) {
        sent.fetch_add(1);
        if (!custody.event()) continue;
        owners.fetch_add(1);
        run();
      }
    });
  }
  threads.emplace_back([&] {
    for (std::uint64_t left = events; left > 0; --left) {
      if (!custody.claim()) continue;
      owners.fetch_add(1);
      run();
    }
  });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(!wrong);
  BOOST_TEST(owners == 0);
  BOOST_TEST(custody.parked());
  BOOST_TEST(seen == sent);
}

BOOST_AUTO_TEST_SUITE_END()
