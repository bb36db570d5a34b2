// How steadily a client takes its answer, by a clock that the test controls.

module;

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <limits>

module net.server:send_progress_test;

import :coarse_clock;
import :send_progress;

using boost::unit_test::timeout;
using net::CoarseTime;
using net::SendProgress;

namespace {

constexpr CoarseTime second = 1'000'000'000;
constexpr CoarseTime start = 1000 * second;
constexpr std::uint64_t fair = SendProgress::fair_rate;

}  // namespace

BOOST_AUTO_TEST_SUITE(server_send_progress)

BOOST_AUTO_TEST_CASE(who_takes_nothing_makes_no_progress, *timeout(10)) {
  SendProgress progress;
  progress.look(1000, start);
  progress.look(1000, start + 5 * second);
  BOOST_TEST(progress.progress_at() == start);
  BOOST_TEST(progress.behind_since() == start);
}

BOOST_AUTO_TEST_CASE(who_takes_a_byte_makes_progress_but_stays_behind, *timeout(10)) {
  SendProgress progress;
  progress.look(1000, start);
  progress.look(999, start + 5 * second);
  BOOST_TEST(progress.progress_at() == start + 5 * second);
  BOOST_TEST(progress.behind_since() - start < second / 1000);
}

BOOST_AUTO_TEST_CASE(who_takes_the_fair_rate_is_not_behind, *timeout(10)) {
  SendProgress progress;
  std::uint64_t left = 100 * fair;
  CoarseTime now = start;
  progress.look(left, now);
  for (int i = 0; i < 10; ++i) progress.look(left -= fair, now += second);
  BOOST_TEST(progress.behind_since() == now);
  // At half of the fair rate, half of the time is lost.
  for (int i = 0; i < 10; ++i) progress.look(left -= fair, now += 2 * second);
  BOOST_TEST(progress.behind_since() == now - 10 * second);
}

BOOST_AUTO_TEST_CASE(it_does_not_matter_how_often_one_looks, *timeout(10)) {
  SendProgress progress;
  std::uint64_t left = 100 * fair;
  CoarseTime now = start;
  progress.look(left, now);
  for (int i = 0; i < 1000; ++i) progress.look(left -= fair / 100, now += second / 100);
  BOOST_TEST(now - progress.behind_since() < second / 100);
}

BOOST_AUTO_TEST_CASE(a_fast_client_earns_nothing_for_later, *timeout(10)) {
  SendProgress progress;
  progress.look(std::numeric_limits<std::uint64_t>::max(), start);
  progress.look(1000, start + second);
  BOOST_TEST(progress.behind_since() == start + second);
  progress.look(1000, start + 9 * second);
  BOOST_TEST(progress.behind_since() == start + second);
}

BOOST_AUTO_TEST_CASE(more_to_take_is_no_progress, *timeout(10)) {
  SendProgress progress;
  progress.look(1000, start);
  progress.look(3000, start + second);
  BOOST_TEST(progress.progress_at() == start);
  progress.look(2000, start + 2 * second);
  BOOST_TEST(progress.progress_at() == start + 2 * second);
}

BOOST_AUTO_TEST_CASE(each_answer_begins_anew, *timeout(10)) {
  SendProgress progress;
  progress.look(1000, start);
  progress.over();
  progress.look(1000, start + 9 * second);
  BOOST_TEST(progress.progress_at() == start + 9 * second);
  BOOST_TEST(progress.behind_since() == start + 9 * second);
}

BOOST_AUTO_TEST_SUITE_END()
