// Counters as text.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <string>

import net.handler;

BOOST_AUTO_TEST_CASE(a_line_has_every_member) {
  net::Stats stats;
  stats.accepted = 12;
  stats.policy_errors = 3;
  const std::string line = to_string(stats);
  BOOST_TEST(line.starts_with("accepted=12 active=0 "));
  BOOST_TEST(line.ends_with(" policy_errors=3"));
  BOOST_TEST(std::count(line.begin(), line.end(), '=') ==
             static_cast<std::ptrdiff_t>(sizeof stats / sizeof stats.accepted));
}

BOOST_AUTO_TEST_CASE(a_table_has_what_is_not_zero_in_columns) {
  net::Stats stats;
  stats.requests = 12345;
  stats.peer_gone = 2;
  BOOST_TEST(to_table(stats) ==
             "requests   12345\n"
             "peer_gone      2\n");
  BOOST_TEST(net::to_table({}).empty());
}

BOOST_AUTO_TEST_CASE(a_table_tells_how_fast_counters_grow) {
  net::Stats before;
  before.requests = 345;
  net::Stats now;
  now.requests = 12345;
  now.parked = 7;  // a current value, not a counter, so the table shows no rate
  now.peer_gone = 2;
  BOOST_TEST(to_table(now, before, std::chrono::seconds(20)) ==
             "parked         7\n"
             "requests   12345  600.0/s\n"
             "peer_gone      2    0.1/s\n");
}
