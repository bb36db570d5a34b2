// What a server is constructed from, and how it is bound.

#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "support/server_test.hpp"

namespace {

using namespace std::string_literals;

class Binding : public net::ServerHooks {
 public:
  void server_bind(net::Socket& listener, const net::Address& address) override {
    calls += "bind ";
    bound = address;
    listener.setsockopt(net::SocketOption::keep_alive, 1);
    net::ServerHooks::server_bind(listener, address);
  }
  void server_activate(net::Socket& listener, int request_queue_size) override {
    calls += "activate ";
    backlog = request_queue_size;
    kept_option = listener.getsockopt(net::SocketOption::keep_alive) != 0;
    net::ServerHooks::server_activate(listener, request_queue_size);
  }
  std::string calls;
  net::Address bound;
  int backlog = -1;
  bool kept_option = false;
};

class Refusing : public net::ServerHooks {
 public:
  void server_activate(net::Socket&, int) override { throw std::runtime_error("not today"); }
};

// Has state of the application, and no default constructor.
struct Greeting : net::StreamRequestHandler {
  explicit Greeting(const std::string& with) : greeting(with) {}
  net::Next handle() {
    wfile.write(greeting + std::string(rfile.read_some()));
    return net::Next::keep;
  }
  const std::string& greeting;
};

Greeting greeting_of_all() {
  static const std::string greeting = "hello ";
  return Greeting(greeting);
}

// Has no base class: it is constructed from its context.
class Plain {
 public:
  explicit Plain(net::RequestContext& context) : context_(context), reader_(context.stream()) {}
  net::Next handle() {
    net::StreamWriter(context_.stream()).write(reader_.read_some());
    return net::Next::close;
  }

 private:
  net::RequestContext& context_;
  net::StreamReader reader_;
};

struct Where : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write(context().server_address().to_string());
    return net::Next::close;
  }
};

std::string answer_of(const net::Address& server, std::string_view question) {
  Client client{server};
  client.send(question);
  client.end_sending();
  return client.receive_all();
}

bool has_ipv6() {
  try {
    net::create_server({"::1", 0});
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

bool throws(std::errc expected, const std::function<void()>& function) {
  try {
    function();
  } catch (const std::system_error& error) {
    return error.code() == expected;
  }
  return false;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_construction, LeavesNothing)

BOOST_AUTO_TEST_CASE(hooks_bind_and_activate, *timeout(20)) {
  Binding hooks;
  net::ServerOptions options = quick();
  options.request_queue_size = 7;
  net::TcpServer<Echo> server{loopback(), options, hooks};
  BOOST_TEST(hooks.calls == "bind activate ");
  BOOST_TEST(hooks.bound == loopback());
  BOOST_TEST(hooks.backlog == 7);
  BOOST_TEST(hooks.kept_option);
  Running running{server};
  BOOST_TEST(Client(server).ask("hello") == "hello");
}

BOOST_AUTO_TEST_CASE(binding_can_be_deferred, *timeout(20)) {
  Binding hooks;
  net::ServerOptions options = quick();
  options.bind_and_activate = false;
  net::TcpServer<Echo> server{loopback(), options, hooks};
  BOOST_TEST(hooks.calls == "");
  BOOST_TEST(server.server_address().port() == 0);
  BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.serve_forever(); }));
  BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.server_activate(); }));
  server.server_bind();
  BOOST_TEST(hooks.calls == "bind ");
  const net::Address address = server.server_address();
  BOOST_TEST(address.port() != 0);
  BOOST_TEST(throws(std::errc::bad_file_descriptor, [&] { server.serve_forever(); }));
  BOOST_TEST(throws(std::errc::connection_refused, [&] { Client client{address}; }));
  server.server_activate();
  BOOST_TEST(hooks.calls == "bind activate ");
  Running running{server};
  BOOST_TEST(Client(address).ask("hello") == "hello");
}

BOOST_AUTO_TEST_CASE(a_server_that_was_never_bound_closes, *timeout(20)) {
  net::ServerOptions options = quick();
  options.bind_and_activate = false;
  net::TcpServer<Echo> server{loopback(), options};
  BOOST_TEST((server.server_close(1s) == net::DrainReport{}));
}

BOOST_TEST_DECORATOR(*timeout(50))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_failed_bind_leaves_nothing, Policy, Policies) {
  const net::Socket taken = net::create_server(loopback());
  const std::vector addresses{loopback(), taken.getsockname()};
  const auto descriptors = open_descriptors();
  int failures = 0;
  for (int i = 0; i < 1024; ++i) {
    failures += throws(std::errc::address_in_use, [&] {
      const net::TcpServer<Echo, Policy> server{std::span<const net::Address>(addresses), quick(),
                                                at_once<Policy>(1)};
    });
  }
  BOOST_TEST(failures == 1024);
  BOOST_TEST((open_descriptors() == descriptors));
}

BOOST_AUTO_TEST_CASE(a_failed_activation_leaves_nothing, *timeout(20)) {
  Refusing hooks;
  BOOST_CHECK_THROW((net::TcpServer<Echo>{loopback(), hooks}), std::runtime_error);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_has_several_addresses, Policy, Policies) {
  const std::vector addresses{loopback(), has_ipv6() ? net::Address("::1", 0) : loopback(),
                              loopback()};
  net::TcpServer<Where, Policy> server{std::span<const net::Address>(addresses), quick()};
  BOOST_TEST(server.listeners() == 3U);
  Running running{server};
  for (std::size_t i = 0; i < 3; ++i) {
    const net::Address address = server.server_address(i);
    BOOST_TEST((address.family() == addresses.at(i).family()));
    BOOST_TEST(answer_of(address, "?") == address.to_string());
  }
  BOOST_CHECK_THROW(server.server_address(3), std::out_of_range);
  running.stop();
  BOOST_TEST(server.stats().accepted == 3U);
}

BOOST_AUTO_TEST_CASE(several_addresses_are_given_as_a_list, *timeout(20)) {
  net::TcpServer<Where> server{{loopback(), {"127.0.0.1", 0}}, quick()};
  BOOST_TEST(server.listeners() == 2U);
  Running running{server};
  for (std::size_t i = 0; i < 2; ++i) {
    const net::Address address = server.server_address(i);
    BOOST_TEST(answer_of(address, "?") == address.to_string());
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(servers_share_a_policy, Policy, Policies) {
  std::optional<net::SharedPolicy<Policy>> shared(at_once<Policy>(4));
  net::TcpServer<Where, Policy> two{loopback(), quick(), *shared};
  {
    net::TcpServer<Echo, Policy> one{loopback(), *shared, quick()};
    BOOST_TEST(&one.policy() == &two.policy());
    BOOST_TEST(&one.policy() == &**shared);
    Running running_one{one};
    Running running_two{two};
    BOOST_TEST(answer_of(one.server_address(), "hello") == "hello");
    BOOST_TEST(answer_of(two.server_address(), "?") == two.server_address().to_string());
    running_one.stop();
    BOOST_TEST(answer_of(two.server_address(), "?") == two.server_address().to_string());
    shared.reset();
    BOOST_TEST(answer_of(two.server_address(), "?") == two.server_address().to_string());
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(factories_carry_state_and_arguments_have_no_order, Policy, Policies) {
  const std::string greeting = "hello ";
  QuietHooks hooks;
  int contexts = 0;
  const auto factory = [&] { return Greeting(greeting); };
  const auto factory_of_context = [&](net::RequestContext& context) {
    contexts += context.client_address().port() != 0;
    return Greeting(greeting);
  };
  using Server = net::TcpServer<Greeting, Policy>;
  Server one{loopback(), factory};
  Server two{loopback(), factory_of_context, hooks, at_once<Policy>(2), quick()};
  Server three{loopback(), quick(), hooks, factory};
  Server four{loopback(), at_once<Policy>(1), factory};
  Server five{loopback(), greeting_of_all};
  for (net::BaseServer* const server :
       std::initializer_list<net::BaseServer*>{&one, &two, &three, &four, &five}) {
    Running running{*server};
    BOOST_TEST(answer_of(server->server_address(), "you") == "hello you");
  }
  if constexpr (!std::is_same_v<Policy, net::ForkPerRequest>) BOOST_TEST(contexts == 1);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_may_be_made_from_its_context, Policy, Policies) {
  net::TcpServer<Plain, Policy> server{loopback(), quick()};
  Running running{server};
  BOOST_TEST(answer_of(server.server_address(), "hello") == "hello");
}

BOOST_AUTO_TEST_SUITE_END()
