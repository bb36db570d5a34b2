// Which workers of a pool sleep, serve or are blocked, tested without any thread.

module;

#include <boost/test/unit_test.hpp>

module net.server:crew_test;

import :crew;
import :pace;

using boost::unit_test::timeout;
using net::Crew;
using net::FineTime;
using Worker = net::Crew::Worker;

// A named namespace, because other units of the module may see what a partition declares.
namespace crew_test {

inline constexpr FineTime start = 1'000'000;
inline constexpr FineTime patience = 1'000;

// Three workers that are awake.
struct Three : Crew {
  Three() {
    begin();
    begin();
    begin();
  }
  Worker first;
  Worker second;
  Worker third;
};

}  // namespace crew_test

using namespace crew_test;

BOOST_FIXTURE_TEST_SUITE(server_crew, Three)

BOOST_AUTO_TEST_CASE(workers_are_active_from_their_begin_to_their_end, *timeout(10)) {
  BOOST_TEST(active() == 3U);
  end();
  BOOST_TEST(active() == 2U);
  BOOST_TEST(!anybody_asleep());
}

BOOST_AUTO_TEST_CASE(the_last_worker_to_sleep_is_the_first_to_be_woken, *timeout(10)) {
  lie_down(first);
  lie_down(second);
  BOOST_TEST(anybody_asleep());
  BOOST_TEST(&take_sleeper() == &second);
  BOOST_TEST(&take_sleeper() == &first);
  BOOST_TEST(!anybody_asleep());
}

BOOST_AUTO_TEST_CASE(a_sleeper_is_not_active_until_it_is_taken, *timeout(10)) {
  lie_down(first);
  BOOST_TEST(active() == 2U);
  take_sleeper();
  BOOST_TEST(active() == 3U);
}

// With an open gate, the worker would not sleep, but look again and again.
BOOST_AUTO_TEST_CASE(the_gate_of_a_sleeper_is_closed_until_it_is_opened, *timeout(10)) {
  first.gate.open();
  lie_down(first);
  BOOST_TEST(!first.gate.wait_for(0));
  take_sleeper().gate.open();
  BOOST_TEST(first.gate.wait_for(0));
}

BOOST_AUTO_TEST_CASE(a_handler_that_is_known_to_block_does_so_at_once, *timeout(10)) {
  enter_handler(first, start, true);
  BOOST_TEST(active() == 2U);
  BOOST_TEST(noticed() == 0U);
  BOOST_TEST(leave_handler(first));
  BOOST_TEST(active() == 3U);
}

BOOST_AUTO_TEST_CASE(a_handler_counts_as_blocked_after_more_than_the_patience, *timeout(10)) {
  enter_handler(first, start, false);
  notice_blocked(start + patience, patience);
  BOOST_TEST(active() == 3U);
  notice_blocked(start + patience + 1, patience);
  BOOST_TEST(active() == 2U);
  BOOST_TEST(noticed() == 1U);
  BOOST_TEST(leave_handler(first));
  BOOST_TEST(active() == 3U);
}

BOOST_AUTO_TEST_CASE(a_handler_is_noticed_once, *timeout(10)) {
  enter_handler(first, start, false);
  notice_blocked(start + 2 * patience, patience);
  notice_blocked(start + 3 * patience, patience);
  BOOST_TEST(noticed() == 1U);
  BOOST_TEST(active() == 2U);
}

BOOST_AUTO_TEST_CASE(only_handlers_that_have_run_for_too_long_are_noticed, *timeout(10)) {
  enter_handler(first, start, false);
  enter_handler(second, start + 10, false);
  enter_handler(third, start + 20, false);
  notice_blocked(start + 10 + patience + 1, patience);
  BOOST_TEST(noticed() == 2U);
  BOOST_TEST(leave_handler(first));
  BOOST_TEST(leave_handler(second));
  BOOST_TEST(!leave_handler(third));
}

BOOST_AUTO_TEST_CASE(a_worker_that_has_left_its_handler_is_not_noticed, *timeout(10)) {
  enter_handler(first, start, false);
  enter_handler(second, start, false);
  enter_handler(third, start, false);
  BOOST_TEST(!leave_handler(second));
  BOOST_TEST(!leave_handler(first));
  notice_blocked(start + 2 * patience, patience);
  BOOST_TEST(noticed() == 1U);
  BOOST_TEST(leave_handler(third));
  BOOST_TEST(active() == 3U);
}

BOOST_AUTO_TEST_CASE(a_worker_that_was_blocked_starts_its_next_handler_anew, *timeout(10)) {
  enter_handler(first, start, false);
  notice_blocked(start + 2 * patience, patience);
  leave_handler(first);
  enter_handler(first, start + 3 * patience, false);
  notice_blocked(start + 4 * patience, patience);
  BOOST_TEST(active() == 3U);
  BOOST_TEST(!leave_handler(first));
}

BOOST_AUTO_TEST_SUITE_END()
