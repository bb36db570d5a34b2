#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <limits>
#include <type_traits>

import net.socket;

using boost::unit_test::timeout;
using net::Deadline;
using namespace std::chrono_literals;
using Clock = Deadline::Clock;

static_assert(Deadline().is_never());
static_assert(Deadline() == Deadline::never());
static_assert(Deadline(Clock::time_point()) < Deadline::never());
static_assert(Deadline(Clock::time_point(1s)).point() == Clock::time_point(1s));
static_assert(Deadline(Clock::time_point(1s)) < Deadline(Clock::time_point(2s)));
static_assert(Clock::is_steady);
static_assert(std::is_convertible_v<std::chrono::nanoseconds, Deadline>);
static_assert(std::is_convertible_v<std::chrono::duration<double>, Deadline>);
static_assert(std::is_convertible_v<std::chrono::years, Deadline>);
static_assert(std::is_convertible_v<Clock::time_point, Deadline>);
static_assert(!std::is_constructible_v<Deadline, std::chrono::system_clock::time_point>);
static_assert(!std::is_constructible_v<Deadline, int>);

BOOST_AUTO_TEST_CASE(never_does_not_pass_and_leaves_all_time, *timeout(10)) {
  BOOST_TEST(!Deadline::never().passed());
  BOOST_TEST((Deadline::never().left() == Clock::duration::max()));
}

BOOST_AUTO_TEST_CASE(a_duration_is_counted_from_now, *timeout(10)) {
  const auto before = Clock::now();
  const Deadline deadline = 50ms;
  const auto after = Clock::now();
  BOOST_TEST((deadline.point() >= before + 50ms));
  BOOST_TEST((deadline.point() <= after + 50ms));
}

BOOST_AUTO_TEST_CASE(a_fractional_duration_is_counted_from_now, *timeout(10)) {
  const auto before = Clock::now();
  const Deadline deadline = std::chrono::duration<double>(0.05);
  BOOST_TEST((deadline.point() - before > 49ms));
  BOOST_TEST((deadline.point() - Clock::now() <= 50ms));
}

BOOST_AUTO_TEST_CASE(what_is_left_shrinks_with_time, *timeout(10)) {
  const Deadline deadline = 1h;
  const auto left = deadline.left();
  BOOST_TEST((left <= 1h));
  BOOST_TEST((left > 59min));
  BOOST_TEST((deadline.left() <= left));
  BOOST_TEST(!deadline.passed());
}

BOOST_AUTO_TEST_CASE(a_deadline_passes_when_its_point_comes, *timeout(10)) {
  const Deadline deadline = 10ms;
  while (!deadline.passed()) BOOST_REQUIRE(!deadline.is_never());
  BOOST_TEST((Clock::now() >= deadline.point()));
  BOOST_TEST((deadline.left() == Clock::duration::zero()));
}

BOOST_AUTO_TEST_CASE(a_duration_that_is_over_has_passed, *timeout(10)) {
  for (const auto duration : {0ns, -1ns, std::chrono::nanoseconds(-1h)}) {
    const Deadline deadline = duration;
    BOOST_TEST(deadline.passed());
    BOOST_TEST((deadline.left() == Clock::duration::zero()));
  }
}

BOOST_AUTO_TEST_CASE(more_than_a_century_is_never, *timeout(10)) {
  BOOST_TEST(Deadline(std::chrono::years(101)).is_never());
  BOOST_TEST(Deadline(std::chrono::nanoseconds::max()).is_never());
  BOOST_TEST(Deadline(std::chrono::hours::max()).is_never());
  BOOST_TEST(Deadline(std::chrono::years::max()).is_never());
  using Seconds = std::chrono::duration<double>;
  BOOST_TEST(Deadline(Seconds(std::numeric_limits<double>::infinity())).is_never());
}

BOOST_AUTO_TEST_CASE(less_than_a_century_is_not_never, *timeout(10)) {
  const Deadline deadline = std::chrono::years(99);
  BOOST_TEST(!deadline.is_never());
  BOOST_TEST((deadline.left() > std::chrono::years(98)));
}

BOOST_AUTO_TEST_CASE(the_earliest_deadline_is_the_least, *timeout(10)) {
  const Deadline soon = 1s;
  const Deadline late = 1h;
  BOOST_TEST((std::min({Deadline::never(), late, soon}) == soon));
}

BOOST_AUTO_TEST_CASE(a_duration_that_was_over_centuries_ago_has_passed, *timeout(10)) {
  BOOST_TEST(Deadline(std::chrono::nanoseconds::min()).passed());
  BOOST_TEST(Deadline(std::chrono::years(-1000)).passed());
  BOOST_TEST(Deadline(std::chrono::hours::min()).passed());
}
