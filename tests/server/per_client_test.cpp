// The limits for each client: how many connections it may have, and how often it may connect.

#include <list>
#include <string>

#include "support/proxy_headers.hpp"
#include "support/server_test.hpp"

namespace {

struct TellsWhy : net::ServerHooks {
  std::string on_overload(const net::Address& client) override {
    asked = client.host();
    return "too much\n";
  }
  std::string asked;
};

net::ServerOptions bounded(const net::ClientLimits& limits) {
  net::ServerOptions options = quick();
  options.per_client = limits;
  return options;
}

std::string by_proxy(const std::string& host) { return support::ipv4_header(host.c_str(), 1); }

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_has_so_many_connections, Form, EchoForms) {
  const LeavesNothing nothing;
  typename Form::Server server(loopback(), bounded({.connections = 2}),
                               at_once<typename Form::Policy>(4));
  Running running(server);
  std::list<Client> clients;
  if constexpr (!std::same_as<typename Form::Policy, net::Inline>) {
    for (int i = 0; i < 2; ++i) BOOST_TEST(clients.emplace_back(server).ask("x") == "x");
    BOOST_TEST(Client(server).is_closed());
    BOOST_TEST(soon([&] { return server.stats().shed_too_many == 1; }));
    clients.clear();
    BOOST_TEST(soon([&] { return server.stats().served == 2; }));
  }
  BOOST_TEST(clients.emplace_back(server).ask("x") == "x");
}

BOOST_AUTO_TEST_CASE(a_client_beyond_its_limit_is_told_so, *timeout(20)) {
  const LeavesNothing nothing;
  TellsWhy hooks;
  net::TcpServer<Echo> server(loopback(), bounded({.connections = 1}), hooks);
  Running running(server);
  Client first(server);
  BOOST_TEST(first.ask("x") == "x");
  Client second(server);
  second.send("a request");
  BOOST_TEST(second.receive_all() == "too much\n");
  BOOST_TEST(hooks.asked == "127.0.0.1");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_opens_so_many_in_a_burst, Policy, Policies) {
  const LeavesNothing nothing;
  net::TcpServer<Echo, Policy> server(loopback(), bounded({.per_second = 0.01, .burst = 3}));
  Running running(server);
  for (int i = 0; i < 3; ++i) BOOST_TEST(Client(server).ask("x") == "x");
  for (int i = 0; i < 3; ++i) BOOST_TEST(Client(server).is_closed());
  BOOST_TEST(soon([&] { return server.stats().shed_too_fast == 3; }));
  BOOST_TEST(server.stats().shed == 3U);
}

BOOST_AUTO_TEST_CASE(behind_a_proxy_the_clients_of_the_headers_are_bounded, *timeout(20)) {
  const LeavesNothing nothing;
  TellsWhy hooks;
  net::ServerOptions options = bounded({.connections = 1});
  options.proxy_protocol = net::ProxyProtocol{net::Networks("127.0.0.0/8")};
  net::TcpServer<Echo> server(loopback(), options, hooks);
  Running running(server);
  Client first(server);
  Client second(server);
  Client third(server);
  first.send(by_proxy("192.0.2.1"));
  BOOST_TEST(first.ask("x") == "x");
  second.send(by_proxy("192.0.2.2"));
  BOOST_TEST(second.ask("x") == "x");
  third.send(by_proxy("192.0.2.1"));
  BOOST_TEST(third.receive_all() == "too much\n");
  BOOST_TEST(hooks.asked == "192.0.2.1");
}

BOOST_AUTO_TEST_CASE(exempt_networks_are_not_bounded, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(),
                              bounded({.connections = 1, .exempt = net::Networks("127.0.0.0/8")}));
  Running running(server);
  std::list<Client> clients;
  for (int i = 0; i < 5; ++i) BOOST_TEST(clients.emplace_back(server).ask("x") == "x");
}

// The slot is given back however the connection ends.
BOOST_AUTO_TEST_CASE_TEMPLATE(every_end_gives_the_place_back, Policy, Policies) {
  const LeavesNothing nothing;
  net::ServerOptions options = bounded({.connections = 1});
  options.limits.idle = 50ms;
  options.limits.request = 50ms;
  net::TcpServer<LineEcho, Policy> server(loopback(), options);
  Running running(server);
  for (std::uint64_t come = 3; come <= 9; come += 3) {
    {
      Client idle(server);
      BOOST_TEST(idle.is_closed());
    }
    {
      Client late(server);
      late.send("half a li");
      BOOST_TEST(late.is_closed());
    }
    Client gone(server);
    gone.send("x");
    gone.reset();
    BOOST_TEST(soon([&] { return server.stats().ended() == come; }));
  }
  BOOST_TEST(server.stats().shed == 0U);
}

BOOST_AUTO_TEST_CASE(limits_that_mean_nothing_are_refused, *timeout(20)) {
  const auto refused = [](const net::ClientLimits& limits) {
    BOOST_CHECK_THROW((net::TcpServer<Echo>(loopback(), bounded(limits))), std::system_error);
  };
  refused({.per_second = -1});
  refused({.per_second = std::numeric_limits<double>::quiet_NaN()});
  refused({.per_second = 1, .burst = 0.5});
  refused({.connections = 1, .ipv4_bits = 33});
  refused({.connections = 1, .ipv6_bits = 129});
  refused({.connections = 1, .most_clients = 0});
  BOOST_CHECK_THROW((net::UdpServer<EchoDatagram>(loopback(), bounded({.connections = 1}))),
                    std::system_error);
}
