// server_close and shutdown, whatever the serving thread is doing at the time.

#include <poll.h>
#include <sys/resource.h>

#include <stdexcept>
#include <string>
#include <system_error>

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// Far below the timeouts and deadlines here, and far above the time that a loaded machine takes.
constexpr auto quickly = 3s;

struct Counting : net::ServerHooks {
  void handle_timeout() override { ++time_outs; }
  void report(const net::Event&) override {}
  void service_actions() override {
    if (hold == nullptr) return;
    entered.open();
    hold->wait();
  }
  std::atomic<int> time_outs{0};
  Gate entered;
  const Gate* hold = nullptr;
};

net::ServerOptions waiting(std::optional<std::chrono::milliseconds> timeout) {
  net::ServerOptions options = quick();
  options.timeout = timeout;
  return options;
}

bool throws(std::errc expected, const std::function<void()>& function) {
  try {
    function();
  } catch (const std::system_error& error) {
    return error.code() == expected;
  }
  return false;
}

bool is_readable(int descriptor, int milliseconds) {
  pollfd polled{descriptor, POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) == 1;
}

// Gives another thread time to begin its wait. If the time is too short, the test still passes.
void let_wait() { std::this_thread::sleep_for(50ms); }

struct Holding : net::StreamRequestHandler {
  Holding(Gate& entering, const Gate& opening) : entered(entering), released(opening) {}
  net::Next handle() {
    rfile.read_some();
    entered.open();
    released.wait();
    wfile.write("done");
    return net::Next::close;
  }
  Gate& entered;
  const Gate& released;
};

// Closes its server from a hook, and records what that threw.
struct ClosingHook : net::ServerHooks {
  bool verify_request(const net::Socket&, const net::Address&) override {
    refused = throws(std::errc::resource_deadlock_would_occur, [&] { server->server_close(1s); });
    return true;
  }
  net::BaseServer* server = nullptr;
  bool refused = false;
};

// A policy whose drain fails.
struct Undrainable {
  struct Options {};
  Undrainable(Options, net::PolicyContext&) {}
  void process(net::Request request) { request.run(); }
  net::DrainReport drain(net::Deadline) { throw std::runtime_error("cannot drain"); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_closing, LeavesNothing)

// --- handle_request ------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_ends_a_waiting_handle_request, Policy, Policies) {
  for (const bool forever : {true, false}) {
    Counting hooks;
    const std::optional<std::chrono::milliseconds> timeout(8s);
    net::TcpServer<Echo, Policy> server{loopback(), waiting(forever ? std::nullopt : timeout),
                                        hooks};
    // Throws if it begins only after the close.
    std::thread serving(
        [&] { throws(std::errc::bad_file_descriptor, [&] { server.handle_request(); }); });
    let_wait();
    const auto begin = Clock::now();
    BOOST_TEST((server.server_close(10s) == net::DrainReport{}));
    BOOST_TEST((Clock::now() - begin < quickly));
    serving.join();
    BOOST_TEST((Clock::now() - begin < quickly));
    BOOST_TEST(hooks.time_outs == 0);
    BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.handle_request(); }));
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_ends_a_loop_of_handle_request, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), waiting(std::nullopt)};
  bool ended = false;
  std::thread serving([&] {
    ended = throws(std::errc::bad_file_descriptor, [&] {
      for (;;) server.handle_request();
    });
  });
  Client client{server};
  for (int i = 0; i < 10; ++i) BOOST_TEST(client.ask("hello") == "hello");
  const auto begin = Clock::now();
  server.server_close(10s);
  serving.join();
  BOOST_TEST(ended);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(client.sees_end());
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_ends_a_waiting_handle_request, Policy, Policies) {
  Counting hooks;
  net::TcpServer<Echo, Policy> server{loopback(), waiting(8s), hooks};
  const auto begin = Clock::now();
  std::thread serving([&] { server.handle_request(); });
  let_wait();
  server.shutdown();
  serving.join();
  server.handle_request();
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(hooks.time_outs == 0);
  // A client that is ready is served nevertheless.
  Client client{server};
  client.send("hello");
  while (server.stats().requests == 0 && Clock::now() - begin < 10s) server.handle_request();
  BOOST_TEST(client.receive(5) == "hello");
  BOOST_TEST(hooks.time_outs == 0);
  server.server_close(5s);
  check_sum(server);
}

BOOST_AUTO_TEST_CASE(a_handle_request_after_restart_waits_again, *timeout(20)) {
  Counting hooks;
  net::TcpServer<Echo, net::Inline> server{loopback(), waiting(50ms), hooks};
  server.shutdown();
  server.handle_request();
  BOOST_TEST(hooks.time_outs == 0);
  server.restart();
  const auto begin = Clock::now();
  server.handle_request();
  BOOST_TEST((Clock::now() - begin >= 50ms));
  BOOST_TEST(hooks.time_outs == 1);
}

// --- a poll loop of the program's own ------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_wakes_a_poll_loop, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), waiting(0s)};
  const int descriptor = server.fileno();
  bool ended = false;
  std::thread polling([&] {
    ended = throws(std::errc::bad_file_descriptor, [&] {
      while (is_readable(descriptor, 8000)) server.handle_request();
    });
  });
  let_wait();
  const auto begin = Clock::now();
  server.server_close(10s);
  polling.join();
  BOOST_TEST(ended);
  BOOST_TEST(is_readable(descriptor, 0));  // for a program that polls it later
  BOOST_TEST((Clock::now() - begin < quickly));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_poll_loop_can_close_its_server, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), waiting(0s)};
  Client client{server};
  client.send("hello");
  while (server.stats().requests == 0) {
    if (is_readable(server.fileno(), 10)) server.handle_request();
  }
  BOOST_TEST(client.receive(5) == "hello");
  const auto begin = Clock::now();
  server.server_close(10s);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(client.sees_end());
  check_sum(server);
}

// --- serve_forever -------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_ends_serve_forever_in_a_hook, Policy, Policies) {
  Gate released;
  Counting hooks;
  hooks.hold = &released;
  net::TcpServer<Echo, Policy> server{loopback(), quick(), hooks};
  std::thread serving([&] { server.serve_forever(10ms); });
  BOOST_TEST(hooks.entered.wait());
  std::thread releasing([&] {
    let_wait();
    released.open();
  });
  const auto begin = Clock::now();
  BOOST_TEST((server.server_close(10s) == net::DrainReport{}));
  BOOST_TEST((Clock::now() - begin < quickly));
  serving.join();
  releasing.join();
}

// While no descriptor is left, the server accepts no client, and waits between its attempts.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_ends_serve_forever_in_a_back_off, Policy, Policies) {
  Counting hooks;
  net::TcpServer<Echo, Policy> server{loopback(), quick(), hooks};
  std::thread serving([&] { server.serve_forever(8s); });
  net::Socket socket(net::Family::ipv4);
  rlimit before{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  socket.connect(server.server_address(), 10s);
  // By now each pause of the server lasts some hundred milliseconds.
  BOOST_TEST(soon([&] { return server.stats().accept_errors >= 5; }));
  const auto begin = Clock::now();
  const net::DrainReport report = server.server_close(300ms);
  ::setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(report.stuck == 0U);
  serving.join();
}

// --- several closers -----------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_second_closer_waits_for_the_first, Policy, Concurrent) {
  Gate entered;
  Gate released;
  net::TcpServer<Holding, Policy> server{loopback(), quick(),
                                         [&] { return Holding(entered, released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(entered.wait());
  net::DrainReport first;
  std::thread closing([&] { first = server.server_close(10s); });
  let_wait();
  std::thread releasing([&] {
    let_wait();
    released.open();
  });
  const net::DrainReport second = server.server_close(1ms);
  BOOST_TEST(second.drained == 1U);
  BOOST_TEST(second.cut == 0U);
  BOOST_TEST(client.receive_all() == "done");
  closing.join();
  releasing.join();
  BOOST_TEST((first == second));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_hook_of_the_drain_cannot_close_as_well, Policy, Policies) {
  ClosingHook hooks;
  net::TcpServer<Echo, Policy> server{loopback(), quick(), hooks};
  hooks.server = &server;
  Client client{server};  // the drain accepts it
  const auto begin = Clock::now();
  BOOST_TEST(server.server_close(5s).closed_idle == 1U);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(hooks.refused);
}

BOOST_AUTO_TEST_CASE(a_policy_whose_drain_throws_does_not_keep_a_server_open, *timeout(20)) {
  QuietHooks hooks;
  net::TcpServer<Echo, Undrainable> server{loopback(), quick(), hooks};
  BOOST_TEST((server.server_close(5s) == net::DrainReport{}));
  BOOST_TEST(server.stats().policy_errors == 1U);
  BOOST_TEST(hooks.errors == 1);
  BOOST_TEST(server.fileno() == -1);
}

BOOST_AUTO_TEST_SUITE_END()
