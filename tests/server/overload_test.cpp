// What happens to clients for whom the server, or its policy, has no free slot.

#include <sys/resource.h>

#include <concepts>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>

#include "support/server_test.hpp"

namespace {

struct Full : QuietHooks {
  std::string on_overload(const net::Address& client_address) override {
    if (fails) throw std::runtime_error("no answer");
    return "full, " + client_address.to_string() + "\n";
  }
  bool fails = false;
};

net::ServerOptions of(std::size_t most, net::Overload overload) {
  net::ServerOptions options = quick();
  options.max_connections = most;
  options.overload = overload;
  return options;
}

// Options that let a policy run one request at a time.
template <class P>
typename P::Options one_at_once(net::Overload overload) {
  auto options = at_once<P>(1);
  options.overload = overload;
  return options;
}

using Threaded = std::tuple<net::ThreadPool, net::ThreadPerRequest>;

// Greets the client, then echoes.
struct Talk : net::StreamRequestHandler {
  void handle() {
    wfile.write("hello\n");
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) wfile.write(text);
  }
};

// Inline runs a conversation to its end, and accepts no other client meanwhile.
template <class F>
constexpr bool holds_all = std::same_as<typename F::Policy, net::Inline> &&
                           std::same_as<typename F::Handler, EchoConversation>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_overload, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_is_rejected_gets_the_answer_of_the_hook, F, EchoForms) {
  if (holds_all<F>) return;
  Full hooks;
  typename F::Server server{loopback(), of(2, net::Overload::reject), hooks,
                            at_once<typename F::Policy>(2)};
  Running running{server};
  Client first{server};
  Client second{server};
  BOOST_TEST(first.ask("one") == "one");
  BOOST_TEST(second.ask("two") == "two");
  for (int i = 0; i < 3; ++i) {
    Client third{server};
    BOOST_TEST(third.receive_all() == "full, " + third.socket.getsockname().to_string() + "\n");
  }
  BOOST_TEST(first.ask("again") == "again");
  BOOST_TEST(soon([&] { return server.stats().shed_rejected == 3; }));
  BOOST_TEST(server.stats().shed == 3U);
  second.end_sending();
  BOOST_TEST(second.sees_end());
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
  Client fourth{server};
  BOOST_TEST(fourth.ask("four") == "four");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_hook_that_throws_rejects_without_an_answer, Policy, Policies) {
  Full hooks;
  hooks.fails = true;
  net::TcpServer<Echo, Policy> server{loopback(), of(1, net::Overload::reject), hooks};
  Running running{server};
  Client first{server};
  BOOST_TEST(first.ask("one") == "one");
  Client second{server};
  BOOST_TEST(second.sees_end());
  BOOST_TEST(first.ask("again") == "again");
  BOOST_TEST(server.stats().hook_errors == 1U);
  BOOST_TEST((hooks.phase == net::Phase::on_overload));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_waits_is_served_when_another_leaves, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), of(1, net::Overload::wait)};
  Running running{server};
  for (int round = 0; round < 3; ++round) {
    Client first{server};
    BOOST_TEST(first.ask("one") == "one");
    Client second{server};
    second.send("two");
    BOOST_TEST(first.ask("again") == "again");
    first.end_sending();
    BOOST_TEST(second.receive(3) == "two");
  }
  BOOST_TEST(server.stats().shed == 0U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_longest_silent_is_evicted, F, EchoForms) {
  if (holds_all<F>) return;
  typename F::Server server{loopback(), of(2, net::Overload::evict_idle),
                            at_once<typename F::Policy>(2)};
  Running running{server};
  Client first{server};
  BOOST_TEST(first.ask("one") == "one");
  Client second{server};
  // The coarse clock, by which the server finds the connection that has been silent for longest,
  // has ticks of some milliseconds.
  BOOST_TEST(!second.socket.wait_to_receive(50ms));
  BOOST_TEST(second.ask("two") == "two");
  Client third{server};
  BOOST_TEST(third.ask("three") == "three");
  BOOST_TEST(first.sees_end());
  BOOST_TEST(second.ask("again") == "again");
  BOOST_TEST(soon([&] { return server.stats().shed_evicted == 1; }));
}

// Neither of the two clients is ever silent for long.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_makes_no_progress_is_evicted, Policy, ThreadPolicies) {
  struct Large : LineEcho {
    net::Next handle() {
      const auto line = rfile.read_line();
      if (line == "large\n") {
        wfile.write(pattern(200'000));
      } else {
        wfile.write(line.value_or(""));
      }
      return line ? net::Next::keep : net::Next::close;
    }
  };
  net::ServerOptions options = quick();
  options.max_connections = 2;
  options.overload = net::Overload::evict_idle;
  SmallBuffers hooks;
  net::TcpServer<Large, Policy> server{loopback(), options, hooks};
  Running running{server};
  Client deaf{Client::slow_reader(server)};
  deaf.send("large\n");
  Client trickling{server};
  trickling.send("l");
  BOOST_TEST(soon([&] { return server.stats().parked == 2; }));
  // The test is about time itself. The bytes that the kernel took for the deaf client at once count
  // as progress, at 64 KiB a second.
  std::this_thread::sleep_for(1500ms);
  Client one{server};
  BOOST_TEST(one.ask("one\n") == "one\n");
  Client two{server};
  // By now both others have made less progress than the first new client.
  BOOST_TEST(two.ask("two\n") == "two\n");
  BOOST_TEST(server.stats().shed_evicted == 2U);
  BOOST_TEST(trickling.is_closed());
  BOOST_TEST(deaf.is_closed());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_policy_without_a_place_rejects, Policy, Concurrent) {
  Full hooks;
  net::TcpServer<Talk, Policy> server{loopback(), quick(), hooks,
                                      one_at_once<Policy>(net::Overload::reject)};
  Running running{server};
  Client first{server};
  BOOST_TEST(first.receive(6) == "hello\n");
  Client second{server};
  BOOST_TEST(second.receive_all().starts_with("full, "));
  BOOST_TEST(first.ask("again") == "again");
  BOOST_TEST(soon([&] { return server.stats().shed_rejected == 1; }));
  first.end_sending();
  BOOST_TEST(first.sees_end());
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
  Client third{server};
  BOOST_TEST(third.receive(6) == "hello\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_policy_without_a_place_evicts_the_silent, Policy, Concurrent) {
  net::TcpServer<Talk, Policy> server{loopback(), quick(),
                                      one_at_once<Policy>(net::Overload::evict_idle)};
  Running running{server};
  Client first{server};
  BOOST_TEST(first.receive(6) == "hello\n");
  BOOST_TEST(!first.socket.wait_to_receive(20ms));
  Client second{server};
  BOOST_TEST(second.receive(6) == "hello\n");
  BOOST_TEST(first.sees_end());
  BOOST_TEST(second.ask("again") == "again");
  BOOST_TEST(soon([&] { return server.stats().shed_evicted == 1; }));
}

// The serving thread is held, so only the policy's own threads can enforce the limit.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_waited_too_long_is_not_served, Policy, Threaded) {
  struct Holding : QuietHooks {
    bool verify_request(const net::Socket&, const net::Address&) override {
      if (++asked == 6) gate.wait();
      return true;
    }
    int asked = 0;
    Gate gate;
  } hooks;
  net::ServerOptions options = quick();
  options.limits.request = 50ms;
  net::TcpServer<Talk, Policy> server{loopback(), options, hooks,
                                      one_at_once<Policy>(net::Overload::wait)};
  Running running{server};
  std::list<Client> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back(server);
  BOOST_TEST(clients.front().receive(6) == "hello\n");
  BOOST_TEST_REQUIRE(soon([&] { return server.stats().accepted == 6; }));
  // The test is about time itself.
  std::this_thread::sleep_for(2 * options.limits.request);
  clients.front().end_sending();
  BOOST_TEST(clients.front().sees_end());
  clients.pop_front();
  clients.back().end_sending();
  for (int i = 0; i < 4; ++i, clients.pop_front()) BOOST_TEST(clients.front().receive_all() == "");
  BOOST_TEST(soon([&] { return server.stats().shed_waiting == 4U; }));
  hooks.gate.open();
  BOOST_TEST(clients.front().receive_all() == "hello\n");
}

BOOST_AUTO_TEST_CASE(a_default_limit_leaves_descriptors_for_others, *timeout(20)) {
  // Each connection of a child needs two descriptors.
  const auto accepted_of = [](auto& server) {
    Running running{server};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 60; ++i) clients.push_back(std::make_unique<Client>(server));
    soon([&] { return server.stats().accepted == 60; }, 300ms);
    return server.stats().accepted;
  };
  rlimit limit{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit small{.rlim_cur = 66, .rlim_max = limit.rlim_max};
  const auto with = [&](auto policy) {
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
    net::TcpServer<Echo, typename decltype(policy)::type> server{loopback(), quick()};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return accepted_of(server);
  };
  BOOST_TEST(with(std::type_identity<net::ThreadPool>{}) == 50U);
  BOOST_TEST(with(std::type_identity<net::ForkPerRequest>{}) == 25U);
}

BOOST_AUTO_TEST_SUITE_END()
