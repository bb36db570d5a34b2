// Servers that run beside other work, and until a signal arrives.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <stdexcept>
#include <system_error>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

// Returns whether this thread blocks a signal.
bool blocks(int signal) {
  sigset_t set{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return ::sigismember(&set, signal) == 1;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_serving, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(it_serves_as_long_as_it_lives, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  {
    const net::Serving running{server};
    Client client(server);
    BOOST_TEST(client.ask("hello\n") == "hello\n");
  }
  BOOST_CHECK_THROW(Client{server}, std::system_error);
  check_sum(server);
}

BOOST_AUTO_TEST_CASE(stop_reports_what_became_of_the_clients, *timeout(20)) {
  net::TcpServer<LineEcho> server{loopback(), quick()};
  net::Serving running{server};
  Client idle(server);
  BOOST_TEST(idle.ask("hello\n") == "hello\n");
  Client late(server);
  late.send("half a li");
  BOOST_TEST(soon([&] { return server.stats().parked == 2; }));
  const net::DrainReport report = running.stop(100ms);
  BOOST_TEST(report.closed_idle == 1U);
  BOOST_TEST(report.cut == 1U);
  BOOST_TEST((running.stop() == report));
  BOOST_TEST(to_string(report) == "drained 0, closed idle 1, cut 1, dropped 0, stuck 0");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(it_can_be_stopped_before_its_thread_serves, Policy, Policies) {
  for (int i = 0; i < 20; ++i) {
    net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
    net::Serving running{server};
    BOOST_TEST((running.stop() == net::DrainReport{}));
  }
}

BOOST_AUTO_TEST_CASE(a_signal_that_is_pending_stops_it_at_once, *timeout(20)) {
  support::Forked child([] {
    sigset_t terminate{};
    ::sigemptyset(&terminate);
    ::sigaddset(&terminate, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &terminate, nullptr);
    for (int i = 0; i < 20; ++i) {
      ::raise(SIGTERM);
      net::TcpServer<LineEcho> server{loopback(), quick()};
      if (net::serve_until(server, {SIGTERM}) != net::DrainReport{}) return 1;
    }
    return 0;
  });
  BOOST_TEST(child.status() == 0);
}

BOOST_AUTO_TEST_CASE(stop_throws_what_ended_the_serving, *timeout(20)) {
  net::TcpServer<LineEcho> server{loopback(), quick()};
  server.server_close();
  net::Serving running{server};
  BOOST_CHECK_EXCEPTION(running.stop(), std::system_error, [](const std::system_error& error) {
    return error.code() == std::errc::bad_file_descriptor;
  });
  const net::DrainReport nothing = running.stop();
  BOOST_TEST((nothing == net::DrainReport{}));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_signal_ends_serve_until, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  // Only this thread may report to Boost.Test.
  auto asked = std::async(std::launch::async, [&server] {
    sigset_t set{};
    ::sigfillset(&set);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    Client client(server);
    const bool answered = client.ask("hello\n") == "hello\n";
    ::kill(::getpid(), SIGUSR2);
    return answered && client.is_closed();
  });
  const net::DrainReport report = net::serve_until(server, {SIGUSR1, SIGUSR2});
  BOOST_TEST(asked.get());
  BOOST_TEST(report.closed_idle == 1U);
  BOOST_TEST(!blocks(SIGUSR1));
  BOOST_TEST(!blocks(SIGUSR2));
}

BOOST_AUTO_TEST_CASE(a_shutdown_ends_serve_until_too, *timeout(20)) {
  net::TcpServer<LineEcho> server{loopback(), quick()};
  server.shutdown();
  const net::DrainReport report = net::serve_until(server, {SIGTERM});
  BOOST_TEST((report == net::DrainReport{}));
}

BOOST_AUTO_TEST_CASE(what_is_no_signal_is_refused, *timeout(20)) {
  net::TcpServer<LineEcho> server{loopback(), quick()};
  BOOST_CHECK_EXCEPTION(
      net::serve_until(server, {SIGTERM, 12345}), std::system_error,
      [](const std::system_error& error) { return error.code() == std::errc::invalid_argument; });
}

BOOST_AUTO_TEST_SUITE_END()
