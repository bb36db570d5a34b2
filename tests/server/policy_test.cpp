// Policies of a user's own, which can do all that ours can.

#include <list>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/server_test.hpp"

namespace {

// Runs each request in a thread of its own, in twenty lines.
struct MyThreads {
  struct Options {};
  MyThreads(Options, net::PolicyContext&) {}
  void process(net::Request request) {
    threads.emplace_back([taken = std::move(request)]() mutable {
      if (taken.step() == net::Next::keep) taken.park();
    });
  }
  net::DrainReport drain(net::Deadline) {
    threads.clear();
    return {};
  }
  std::list<std::jthread> threads;
};

// Runs each connection to its end in a thread of its own.
struct MyRunners : MyThreads {
  using MyThreads::MyThreads;
  void process(net::Request request) {
    threads.emplace_back([taken = std::move(request)]() mutable { taken.run(); });
  }
};

// Drops every second request, or throws.
template <bool Throws>
struct Careless {
  struct Options {};
  Careless(Options, net::PolicyContext&) {}
  void process(net::Request request) {
    if (++count % 2 == 1) {
      if (Throws) throw std::runtime_error("not today");
      return;
    }
    if (request.step() == net::Next::keep) request.park();
  }
  static net::DrainReport drain(net::Deadline) { return {}; }
  int count = 0;
};

// Cuts every connection whose request it looks at.
struct Cutting {
  struct Options {};
  Cutting(Options, net::PolicyContext&) {}
  void process(net::Request request) {
    seen = request && request.fileno() >= 0 && request.peer().port() != 0;
    request.cut();
    request.run();
  }
  static net::DrainReport drain(net::Deadline) { return {}; }
  std::atomic<bool> seen{false};
};

struct ThrowsOnBang : net::StreamRequestHandler {
  net::Next handle() {
    const auto text = rfile.read_some();
    if (text == "!") throw std::runtime_error("thrown by a test");
    wfile.write(text);
    return net::Next::keep;
  }
};

// Uses the socket itself, without buffers.
struct Raw : net::BaseRequestHandler {
  net::Next handle() {
    std::array<std::byte, 1000> text{};
    const auto size = request().recv(text);
    request().sendall(std::span(text).first(size), 5s);
    return size == 0 ? net::Next::close : net::Next::keep;
  }
};

template <class... P>
using EchoUnder = std::tuple<With<Echo, P>..., With<EchoConversation, P>...>;
using MyForms = EchoUnder<MyThreads, MyRunners>;
using MyPolicies = std::tuple<MyThreads, MyRunners>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_policy, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(twenty_lines_serve, Form, MyForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<Client>(server));
  for (unsigned round = 0; round < 5; ++round) {
    const std::string sent = pattern(1 + 3000 * round, round);
    for (const auto& client : clients) client->send(sent);
    for (const auto& client : clients) BOOST_TEST((client->receive(sent.size()) == sent));
  }
  for (const auto& client : clients) {
    client->end_sending();
    BOOST_TEST(client->sees_end());
  }
  running.stop();
  BOOST_TEST(server.stats().served == 20U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(twenty_lines_survive_exceptions, Policy, MyPolicies) {
  QuietHooks hooks;
  net::TcpServer<ThrowsOnBang, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  Client unlucky{server};
  unlucky.send("!");
  BOOST_TEST(unlucky.sees_end());
  BOOST_TEST(Client(server).ask("still here") == "still here");
  running.stop();
  BOOST_TEST(hooks.errors == 1);
  BOOST_TEST(server.stats().failed == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(twenty_lines_drain, Form, MyForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client silent{server};
  Client answered{server};
  BOOST_TEST(answered.ask("hello") == "hello");
  BOOST_TEST(soon([&] { return server.stats().accepted == 2; }));
  const net::DrainReport report = running.stop();
  BOOST_TEST(report.closed_idle + report.drained == 2U);
  BOOST_TEST(report.cut + report.dropped + report.stuck == 0U);
  BOOST_TEST(silent.sees_end());
  BOOST_TEST(answered.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_policy_that_throws_drops_the_connection, Form,
                              EchoUnder<Careless<true>>) {
  QuietHooks hooks;
  typename Form::Server server{loopback(), quick(), hooks};
  Running running{server};
  Client dropped{server};
  dropped.send("hello");
  BOOST_TEST(dropped.sees_end());
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  client.end_sending();
  running.stop();
  BOOST_TEST(server.stats().policy_errors >= 1U);
  BOOST_TEST(server.stats().dropped >= 1U);
  BOOST_TEST(hooks.errors >= 1);
  BOOST_TEST((hooks.phase == net::Phase::process));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_policy_that_destroys_a_request_drops_the_connection, Form,
                              EchoUnder<Careless<false>>) {
  QuietHooks hooks;
  typename Form::Server server{loopback(), quick(), hooks};
  Running running{server};
  Client dropped{server};
  dropped.send("hello");
  BOOST_TEST(dropped.sees_end());
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  client.end_sending();
  running.stop();
  BOOST_TEST(server.stats().policy_errors == 0U);
  BOOST_TEST(server.stats().dropped >= 1U);
  BOOST_TEST(hooks.errors == 0);
}

BOOST_AUTO_TEST_CASE(a_policy_may_cut_a_connection, *timeout(20)) {
  net::TcpServer<Echo, Cutting> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("hello");
  BOOST_TEST(client.is_closed());
  running.stop();
  BOOST_TEST(server.policy().seen.load());
  BOOST_TEST(server.stats().cut == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_without_buffers_reads_its_socket, Policy, Policies) {
  net::TcpServer<Raw, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  const std::string much = pattern(5000);
  BOOST_TEST((client.ask(much) == much));
  client.end_sending();
  BOOST_TEST(client.sees_end());
  running.stop();
  BOOST_TEST(server.stats().served == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
