// What a server starts when it serves, and in which process.

#include <poll.h>

#include <string>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using support::Forked;

struct StopOrEcho : net::StreamRequestHandler {
  net::Next handle() {
    const std::string text(rfile.read_some());
    if (text == "stop") context().shutdown();
    wfile.write(text);
    return net::Next::keep;
  }
};

// Counts its starts; the first `failures` of them fail.
struct Starting {
  struct Options {
    int* starts = nullptr;
    int failures = 0;
  };
  Starting(Options given, net::PolicyContext&) : options(given) {}
  void start() {
    ++*options.starts;
    if (options.failures-- > 0) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    started = true;
  }
  void process(net::Request request) {
    if (!started) return;  // its client gets no answer, and the test fails
    if (request.step() == net::Next::keep) request.park();
  }
  net::DrainReport drain(net::Deadline) { return {}; }
  Options options;
  bool started = false;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_start, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_policy_is_started_once_for_all_its_servers, *timeout(20)) {
  int starts = 0;
  const net::SharedPolicy<Starting> policy{{.starts = &starts}};
  net::TcpServer<StopOrEcho, Starting> one{loopback(), quick(), policy};
  net::TcpServer<StopOrEcho, Starting> two{loopback(), quick(), policy};
  BOOST_TEST(starts == 0);
  for (net::BaseServer* const server : {&one, &two, &one}) {
    server->restart();
    std::thread serving([server] { server->serve_forever(); });
    BOOST_TEST(Client{*server}.ask("stop") == "stop");
    serving.join();
    BOOST_TEST(starts == 1);
  }
  Forked child([&] {
    Client client{one};  // waits in the backlog
    client.send("stop");
    one.restart();
    one.serve_forever();
    return starts == 2 && client.receive(4) == "stop" ? 0 : 1;
  });
  BOOST_TEST(child.status() == 0);
}

BOOST_AUTO_TEST_CASE(a_start_that_fails_is_told_and_may_be_tried_again, *timeout(20)) {
  int starts = 0;
  net::TcpServer<StopOrEcho, Starting> server{loopback(), quick(),
                                              Starting::Options{.starts = &starts, .failures = 2}};
  const auto again = [](const std::system_error& error) {
    return error.code() == std::errc::resource_unavailable_try_again;
  };
  BOOST_CHECK_EXCEPTION(server.serve_forever(), std::system_error, again);
  BOOST_CHECK_EXCEPTION(server.handle_request(), std::system_error, again);
  Running running{server};
  BOOST_TEST(Client{server}.ask("hello") == "hello");
  BOOST_TEST(starts == 3);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_that_never_served_serves_what_waits_when_it_closes, P,
                              Policies) {
  net::TcpServer<Echo, P> server{loopback(), quick()};
  Client client{server};
  client.send("hello");
  client.end_sending();
  BOOST_TEST(server.server_close(5s).drained == 1U);
  BOOST_TEST(client.receive_all() == "hello");
  check_sum(server);
}

// As in a program with a loop of its own, which becomes a daemon after it has bound its servers.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_child_polls_what_its_parent_made, P, Policies) {
  for (const bool asks_before : {true, false}) {
    auto options = quick();
    options.bind_and_activate = asks_before;
    options.timeout = 0ms;
    net::TcpServer<StopOrEcho, P> server{loopback(), options};
    if (!asks_before) server.server_bind();
    const int before = server.fileno();
    Forked child([&] {
      if (!asks_before) server.server_activate();
      pollfd polled{asks_before ? before : server.fileno(), POLLIN, 0};
      Client client{server};
      for (int turn = 0; turn < 100 && !server.stats().requests; ++turn) {
        if (turn == 0) client.send("hello");
        // A thread of the policy may be serving the request already.
        if (::poll(&polled, 1, turn < 2 ? 5000 : 50) == 1) server.handle_request();
      }
      return client.receive(5) == "hello" ? 0 : 1;
    });
    BOOST_TEST(child.status() == 0);
    // Nothing of that affects this process.
    if (!asks_before) server.server_activate();
    Running running{server};
    BOOST_TEST(Client{server}.ask("hello") == "hello");
  }
}

BOOST_AUTO_TEST_SUITE_END()
