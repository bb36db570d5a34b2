// How a server stops, and starts again.

#include <algorithm>
#include <csignal>
#include <system_error>

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

struct Stopper : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    context().shutdown();
    wfile.write("asked");
    return net::Next::close;
  }
};

// Answers with the error that server_close throws in a handler.
struct Closer : net::StreamRequestHandler {
  explicit Closer(net::BaseServer*& to_close) : server(&to_close) {}
  net::Next handle() {
    rfile.read_some();
    try {
      (*server)->server_close(1s);
      wfile.write("closed");
    } catch (const std::system_error& error) {
      wfile.write(error.code() == std::errc::resource_deadlock_would_occur ? "deadlock" : "other");
    }
    return net::Next::close;
  }
  net::BaseServer** server;
};

std::atomic<net::BaseServer*> signalled{nullptr};

extern "C" void shut_down_on_signal(int) { signalled.load()->shutdown(); }

bool throws(std::errc expected, const std::function<void()>& function) {
  try {
    function();
  } catch (const std::system_error& error) {
    return error.code() == expected;
  }
  return false;
}

// Returns the median of five measurements.
Clock::duration typical_time_of(const std::function<Clock::duration()>& measured) {
  std::array<Clock::duration, 5> times{};
  std::ranges::generate(times, measured);
  std::ranges::sort(times);
  return times.at(2);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_stopping, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_takes_effect_in_milliseconds, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  const auto time = typical_time_of([&] {
    server.restart();
    Clock::time_point ended;
    std::thread serving([&] {
      server.serve_forever();
      ended = Clock::now();
    });
    // The server has answered a client, so it is serving.
    BOOST_TEST(Client(server).ask("hello") == "hello");
    const auto begin = Clock::now();
    server.shutdown();
    serving.join();
    return ended - begin;
  });
  BOOST_TEST((time < 20ms));
  server.server_close(5s);
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_can_shut_its_server_down, Policy, Policies) {
  net::TcpServer<Stopper, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(client.receive(5) == "asked");
  running.join();
  running.stop();
  BOOST_TEST(server.stats().served == 1U);
}

BOOST_AUTO_TEST_CASE(a_signal_handler_can_shut_a_server_down, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  signalled.store(&server);
  const auto before = std::signal(SIGUSR1, shut_down_on_signal);
  Running running{server};
  BOOST_TEST(Client(server).ask("hello") == "hello");
  std::raise(SIGUSR1);
  running.join();
  std::signal(SIGUSR1, before);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_shutdown_before_serve_forever_makes_it_return, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  server.shutdown();
  const auto begin = Clock::now();
  server.serve_forever();
  BOOST_TEST((Clock::now() - begin < 1s));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_is_remembered_until_restart, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  {
    std::thread serving([&] { server.serve_forever(); });
    BOOST_TEST(Client(server).ask("one") == "one");
    server.shutdown();
    server.shutdown();
    serving.join();
  }
  server.shutdown();
  server.serve_forever();
  server.restart();
  Running running{server};
  BOOST_TEST(Client(server).ask("two") == "two");
}

BOOST_AUTO_TEST_CASE(a_second_serve_forever_is_refused, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  Running running{server};
  BOOST_TEST(Client(server).ask("hello") == "hello");
  BOOST_TEST(throws(std::errc::operation_in_progress, [&] { server.serve_forever(); }));
  BOOST_TEST(throws(std::errc::operation_in_progress, [&] { server.handle_request(); }));
  BOOST_TEST(Client(server).ask("still") == "still");
}

BOOST_AUTO_TEST_CASE(a_closed_server_does_not_serve, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  const net::Address address = server.server_address();
  server.server_close(5s);
  server.restart();
  BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.serve_forever(); }));
  BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.handle_request(); }));
  BOOST_TEST(server.fileno() == -1);
  BOOST_TEST(throws(std::errc::connection_refused, [&] { Client client{address}; }));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(server_close_in_a_handler_is_refused, Policy, Policies) {
  net::BaseServer* closed = nullptr;
  net::TcpServer<Closer, Policy> server{loopback(), quick(), [&] { return Closer(closed); }};
  closed = &server;
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(client.receive_all() == "deadlock");
}

BOOST_AUTO_TEST_CASE(a_second_server_close_returns_the_first_report, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  Running running{server};
  Client one{server};
  BOOST_TEST(one.ask("hello") == "hello");
  const net::DrainReport first = running.stop();
  BOOST_TEST(first.closed_idle == 1U);
  BOOST_TEST((server.server_close(5s) == first));
}

BOOST_AUTO_TEST_CASE(server_close_stops_a_server_that_serves, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  std::thread serving([&] { server.serve_forever(); });
  BOOST_TEST(Client(server).ask("hello") == "hello");
  server.server_close(5s);
  serving.join();
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_that_never_served_closes, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  BOOST_TEST((server.server_close(5s) == net::DrainReport{}));
}

BOOST_TEST_DECORATOR(*timeout(50))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_shutdown_that_races_the_start_never_hangs, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick(), at_once<Policy>(1)};
  for (int i = 0; i < 1000; ++i) {
    server.restart();
    std::thread serving([&] { server.serve_forever(); });
    server.shutdown();
    serving.join();
  }
}

BOOST_TEST_DECORATOR(*timeout(50))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_close_that_races_the_start_never_hangs, Policy, Policies) {
  for (int i = 0; i < 200; ++i) {
    net::TcpServer<Echo, Policy> server{loopback(), quick(), at_once<Policy>(2)};
    std::thread serving([&] {
      try {
        server.serve_forever();
      } catch (const std::system_error&) {
        // The server was closed before.
      }
    });
    server.server_close(5s);
    serving.join();
  }
}

BOOST_AUTO_TEST_SUITE_END()
