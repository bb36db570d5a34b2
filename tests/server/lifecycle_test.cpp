// Which thread serves and which one closes a server, tested without any server.

module;

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <future>
#include <optional>
#include <string_view>
#include <system_error>

module net.server:lifecycle_test;

import net.socket;
import :lifecycle;
import :options;

using boost::unit_test::timeout;
using net::Deadline;
using net::DrainReport;
using net::Lifecycle;
using namespace std::chrono_literals;

// A named namespace, because other units of the module may see what a partition declares.
namespace lifecycle_test {

inline const Deadline passed{Deadline::Clock::time_point::min()};

// Returns the error with which `begin_serving` refuses a call; none if it does not.
std::errc refusal(Lifecycle& lifecycle) {
  try {
    lifecycle.begin_serving("serve");
    return {};
  } catch (const std::system_error& error) {
    BOOST_TEST(std::string_view(error.what()).starts_with("serve"));
    return static_cast<std::errc>(error.code().value());
  }
}

struct Active : Lifecycle {
  Active() { activate(); }
};

}  // namespace lifecycle_test

using namespace lifecycle_test;

BOOST_AUTO_TEST_SUITE(server_lifecycle)

BOOST_AUTO_TEST_CASE(nobody_serves_before_the_sockets_listen, *timeout(10)) {
  Lifecycle lifecycle;
  BOOST_CHECK(refusal(lifecycle) == std::errc::bad_file_descriptor);
  lifecycle.activate();
  BOOST_CHECK(refusal(lifecycle) == std::errc());
}

BOOST_FIXTURE_TEST_CASE(one_thread_serves_at_a_time, Active, *timeout(10)) {
  begin_serving("serve");
  BOOST_CHECK(refusal(*this) == std::errc::operation_in_progress);
  end_serving();
  BOOST_CHECK(refusal(*this) == std::errc());
}

BOOST_FIXTURE_TEST_CASE(nobody_begins_to_serve_what_is_being_closed, Active, *timeout(10)) {
  begin_serving("serve");
  BOOST_TEST(!begin_closing().has_value());
  // Not `operation_in_progress`, for which a loop would try again.
  BOOST_CHECK(refusal(*this) == std::errc::bad_file_descriptor);
  end_serving();
  BOOST_CHECK(refusal(*this) == std::errc::bad_file_descriptor);
}

BOOST_FIXTURE_TEST_CASE(closing_and_closed_are_told_apart, Active, *timeout(10)) {
  BOOST_TEST(!closing_or_closed());
  begin_closing();
  BOOST_TEST(closing_or_closed());
  BOOST_TEST(!closed());
  end_closing(DrainReport{});
  BOOST_TEST(closing_or_closed());
  BOOST_TEST(closed());
}

BOOST_FIXTURE_TEST_CASE(the_wait_for_the_serving_thread_ends_at_the_deadline, Active,
                        *timeout(10)) {
  begin_serving("serve");
  begin_closing();
  BOOST_TEST(!wait_until_free(passed));
  BOOST_TEST(!wait_until_free(Deadline(1ms)));
  end_serving();
  BOOST_TEST(wait_until_free(passed));
  BOOST_TEST(wait_until_free(Deadline::never()));
}

BOOST_FIXTURE_TEST_CASE(the_wait_ends_only_when_the_serving_thread_leaves, Active, *timeout(10)) {
  begin_serving("serve");
  begin_closing();
  auto with_deadline =
      std::async(std::launch::async, [&] { return wait_until_free(Deadline(1h)); });
  auto without = std::async(std::launch::async, [&] { return wait_until_free(Deadline::never()); });
  // Time in which both threads begin to wait, and neither may return.
  BOOST_CHECK(with_deadline.wait_for(20ms) == std::future_status::timeout);
  BOOST_CHECK(without.wait_for(20ms) == std::future_status::timeout);
  end_closing(std::nullopt);  // wakes them up, but their wait goes on
  BOOST_CHECK(with_deadline.wait_for(20ms) == std::future_status::timeout);
  BOOST_CHECK(without.wait_for(20ms) == std::future_status::timeout);
  end_serving();
  BOOST_TEST(with_deadline.get());
  BOOST_TEST(without.get());
}

BOOST_FIXTURE_TEST_CASE(whoever_closes_again_gets_the_same_report, Active, *timeout(10)) {
  begin_closing();
  end_closing(DrainReport{.stuck = 3});
  const std::optional<DrainReport> report = begin_closing();
  BOOST_REQUIRE(report.has_value());
  BOOST_TEST(report->stuck == 3U);
}

BOOST_FIXTURE_TEST_CASE(a_second_thread_that_closes_waits_for_the_first_one, Active, *timeout(10)) {
  begin_closing();
  auto second = std::async(std::launch::async, [&] { return begin_closing(); });
  BOOST_CHECK(second.wait_for(20ms) == std::future_status::timeout);
  end_closing(DrainReport{.stuck = 5});
  const std::optional<DrainReport> report = second.get();
  BOOST_REQUIRE(report.has_value());
  BOOST_TEST(report->stuck == 5U);
}

BOOST_FIXTURE_TEST_CASE(after_a_close_that_failed_the_next_thread_may_try, Active, *timeout(10)) {
  begin_closing();
  auto second = std::async(std::launch::async, [&] { return begin_closing(); });
  end_closing(std::nullopt);
  BOOST_TEST(!second.get().has_value());
  BOOST_TEST(!closed());
  BOOST_TEST(closing_or_closed());
}

BOOST_FIXTURE_TEST_CASE(a_forked_child_that_closes_it_here_is_done_with_it, Active, *timeout(10)) {
  close_here();
  BOOST_TEST(closed());
  BOOST_TEST(begin_closing().has_value());
  BOOST_CHECK(refusal(*this) == std::errc::bad_file_descriptor);
}

BOOST_AUTO_TEST_SUITE_END()
