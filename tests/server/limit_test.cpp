// Time limits: each ends the connection that exceeds it.

#include <string>

#include "support/server_test.hpp"

namespace {

// Answers with the reason why its reading ended.
struct Listener : net::StreamRequestHandler {
  void handle() {
    try {
      while (const auto line = rfile.read_line()) wfile.write(*line);
      wfile.write("end");
    } catch (const net::TimeoutError&) {
      wfile.write("late");
    }
  }
};

struct Sender : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(pattern(rfile.read_some() == "much" ? 4'000'000 : 200'000));
    return net::Next::keep;
  }
};

// Reads more than the client sends.
struct Greedy : net::StreamRequestHandler {
  explicit Greedy(bool deadline) : sets_deadline(deadline) {}
  net::Next handle() {
    if (sets_deadline) context().set_deadline(50ms);
    rfile.read_exactly(1000);
    return net::Next::keep;
  }
  bool sets_deadline;
};

// Reads a line before its first request.
struct ReadsInSetup : net::StreamRequestHandler {
  void setup() override { rfile.read_line(); }
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct Holding : net::StreamRequestHandler {
  Holding(Gate& entering, const Gate& opening) : entered(entering), released(opening) {}
  void handle() {
    entered.open();
    released.wait();
  }
  Gate& entered;
  const Gate& released;
};

net::ServerOptions with(net::Limits limits) {
  net::ServerOptions options = quick();
  options.limits = limits;
  return options;
}

bool ends_as(const net::BaseServer& server, std::uint64_t net::Stats::* counter) {
  return soon([&] { return server.stats().*counter == 1; });
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_limit, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_idle_connection_is_closed, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), with({.idle = 60ms})};
  Running running{server};
  Client silent{server};
  BOOST_TEST(silent.sees_end());
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(client.sees_end());
  running.stop();
  BOOST_TEST(server.stats().closed_idle == 2U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_dripping_sender_is_cut, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), with({.request = 100ms})};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  std::atomic<bool> cut{false};
  std::thread dripping([&] {
    try {
      while (!cut) {
        client.send("x");
        std::this_thread::sleep_for(5ms);
      }
    } catch (const std::system_error&) {
      // The server has cut the connection, as it should.
    }
  });
  BOOST_TEST(client.is_closed());
  cut = true;
  dripping.join();
  BOOST_TEST(ends_as(server, &net::Stats::timed_out));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_that_reads_on_is_bounded_too, Policy, Policies) {
  for (const bool deadline : {false, true}) {
    const net::Limits limits{.request = deadline ? 10s : 60ms};
    net::TcpServer<Greedy, Policy> server{loopback(), with(limits),
                                          [&] { return Greedy(deadline); }};
    Running running{server};
    Client client{server};
    client.send("x");
    BOOST_TEST(client.is_closed());
    BOOST_TEST(ends_as(server, &net::Stats::timed_out));
    BOOST_TEST(server.stats().time_outs == 1U);
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_read_in_setup_is_bounded_too, Policy, Policies) {
  net::TcpServer<ReadsInSetup, Policy> server{loopback(), with({.request = 200ms})};
  Running running{server};
  Client slow{server};
  slow.send("no line");
  BOOST_TEST(slow.is_closed());
  BOOST_TEST(ends_as(server, &net::Stats::timed_out));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_does_not_read_is_cut, Policy, Policies) {
  for (const char* const amount : {"some", "much"}) {
    SmallBuffers hooks;
    net::TcpServer<Sender, Policy> server{loopback(), with({.send = 80ms}), hooks};
    Running running{server};
    Client deaf{Client::slow_reader(server)};
    deaf.send(amount);
    BOOST_TEST(ends_as(server, &net::Stats::timed_out), "with " << amount);
    BOOST_TEST(deaf.is_closed());
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_reads_slowly_is_not_cut, Policy, Policies) {
  SmallBuffers hooks;
  net::TcpServer<Sender, Policy> server{loopback(), with({.send = 300ms}), hooks};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("some");
  std::string answer;
  while (answer.size() < 200'000) {
    const std::string more = slow.receive(10'000);
    BOOST_TEST_REQUIRE(!more.empty());
    answer += more;
    std::this_thread::sleep_for(40ms);
  }
  BOOST_TEST((answer == pattern(200'000)));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_silent_read_of_a_conversation_throws, Policy, Policies) {
  net::TcpServer<Listener, Policy> server{loopback(), with({.request = 10s, .idle = 60ms})};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  BOOST_TEST(client.receive_all() == "late");
  BOOST_TEST(ends_as(server, &net::Stats::served));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_line_of_a_conversation_must_come_in_time, Policy, Policies) {
  net::TcpServer<Listener, Policy> server{loopback(), with({.request = 80ms, .idle = 10s})};
  Running running{server};
  Client client{server};
  client.send("half");
  BOOST_TEST(client.receive_all() == "late");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_conversation_that_waits_too_long_is_shed, Policy, Concurrent) {
  Gate entered;
  Gate released;
  net::TcpServer<Holding, Policy> server{loopback(), with({.request = 80ms}), at_once<Policy>(1),
                                         [&] { return Holding(entered, released); }};
  Running running{server};
  Client first{server};
  BOOST_TEST(entered.wait());
  Client second{server};
  BOOST_TEST(second.sees_end());
  BOOST_TEST(ends_as(server, &net::Stats::shed));
  released.open();
  BOOST_TEST(first.sees_end());
}

BOOST_AUTO_TEST_SUITE_END()
