// How long a listener that cannot accept pauses, tested without any listener.

module;

#include <boost/test/unit_test.hpp>

module net.server:backoff_test;

import :backoff;

using boost::unit_test::timeout;
using net::Backoff;

namespace {

bool is_woken_for_nothing_until_it_fails(Backoff& backoff) {
  for (int i = 1; i < Backoff::most_spurious; ++i) {
    if (backoff.woken_for_nothing()) return false;
  }
  return backoff.woken_for_nothing();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_backoff)

BOOST_AUTO_TEST_CASE(each_pause_is_twice_the_last_one_up_to_the_longest, *timeout(10)) {
  Backoff backoff;
  BOOST_TEST(backoff.failed() == 10);
  BOOST_TEST(backoff.failed() == 20);
  BOOST_TEST(backoff.failed() == 40);
  BOOST_TEST(backoff.failed() == 80);
  BOOST_TEST(backoff.failed() == 160);
  BOOST_TEST(backoff.failed() == 320);
  BOOST_TEST(backoff.failed() == 500);
  BOOST_TEST(backoff.failed() == 500);
}

BOOST_AUTO_TEST_CASE(a_success_makes_the_next_pause_the_shortest, *timeout(10)) {
  Backoff backoff;
  backoff.failed();
  backoff.failed();
  backoff.succeeded();
  BOOST_TEST(backoff.failed() == Backoff::shortest);
}

BOOST_AUTO_TEST_CASE(only_many_spurious_wake_ups_in_a_row_are_a_failure, *timeout(10)) {
  Backoff backoff;
  BOOST_TEST(is_woken_for_nothing_until_it_fails(backoff));
}

BOOST_AUTO_TEST_CASE(after_such_a_failure_the_count_starts_anew, *timeout(10)) {
  Backoff backoff;
  BOOST_TEST(is_woken_for_nothing_until_it_fails(backoff));
  BOOST_TEST(is_woken_for_nothing_until_it_fails(backoff));
}

BOOST_AUTO_TEST_CASE(a_success_between_spurious_wake_ups_starts_the_count_anew, *timeout(10)) {
  Backoff backoff;
  for (int i = 1; i < Backoff::most_spurious; ++i) backoff.woken_for_nothing();
  backoff.succeeded();
  BOOST_TEST(is_woken_for_nothing_until_it_fails(backoff));
}

BOOST_AUTO_TEST_CASE(spurious_wake_ups_alone_make_no_pause_longer, *timeout(10)) {
  Backoff backoff;
  BOOST_TEST(backoff.failed() == 10);
  is_woken_for_nothing_until_it_fails(backoff);
  BOOST_TEST(backoff.failed() == 20);
}

BOOST_AUTO_TEST_SUITE_END()
