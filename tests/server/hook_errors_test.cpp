// Exceptions of hooks, and what hooks refuse.

#include <stdexcept>

#include "support/server_test.hpp"

namespace {

struct Record {
  std::atomic<bool> armed{true};
  std::atomic<int> told{0};  // calls of handle_error with the phase that is expected
};

// Throws in one hook, once.
class Throwing : public net::ServerHooks {
 public:
  Throwing(Record& record, net::Phase phase, bool integer)
      : record_(record), phase_(phase), integer_(integer) {}

  bool verify_request(const net::Socket&, const net::Address&) override {
    here(net::Phase::verify_request);
    return true;
  }
  void service_actions() override { here(net::Phase::service_actions); }
  void handle_timeout() override { here(net::Phase::handle_timeout); }
  void handle_error(const net::RequestError& error) override {
    if (error.phase == phase_) ++record_.told;
    if (phase_ == net::Phase::handle) throw std::runtime_error("thrown by handle_error");
  }

 private:
  void here(net::Phase phase) {
    if (phase != phase_ || !record_.armed.exchange(false)) return;
    if (integer_) throw 42;
    throw std::runtime_error("thrown by a hook");
  }
  Record& record_;
  net::Phase phase_;
  bool integer_;
};

struct ThrowsOnBang : net::StreamRequestHandler {
  net::Next handle() {
    const auto text = rfile.read_some();
    if (text == "!") throw std::runtime_error("thrown by a test");
    wfile.write(text);
    return net::Next::keep;
  }
};

class Refusing : public net::ServerHooks {
 public:
  bool verify_request(const net::Socket& request, const net::Address& client) override {
    matching = request.getpeername() == client;
    return !refusing.exchange(false);
  }
  std::atomic<bool> refusing{true};
  std::atomic<bool> matching{false};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_hook_errors, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_throwing_verify_request_ends_that_connection, Policy, Policies) {
  for (const bool integer : {false, true}) {
    const Shared<Record> record;
    Throwing hooks{*record, net::Phase::verify_request, integer};
    net::TcpServer<Echo, Policy> server{loopback(), quick(), hooks};
    Running running{server};
    BOOST_TEST(Client(server).sees_end());
    BOOST_TEST(Client(server).ask("still here") == "still here");
    running.stop();
    BOOST_TEST(record->told == 1);
    BOOST_TEST(server.stats().hook_errors == 1U);
    BOOST_TEST(server.stats().failed == 1U);
    BOOST_TEST(server.stats().handler_errors == 0U);
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_throwing_service_actions_ends_nothing, Policy, Policies) {
  for (const bool integer : {false, true}) {
    const Shared<Record> record;
    Throwing hooks{*record, net::Phase::service_actions, integer};
    net::TcpServer<Echo, Policy> server{loopback(), quick(), hooks};
    Running running{server};
    BOOST_TEST(soon([&] { return !record->armed; }));
    BOOST_TEST(Client(server).ask("still here") == "still here");
    running.stop();
    BOOST_TEST(record->told == 1);
    BOOST_TEST(server.stats().hook_errors == 1U);
    BOOST_TEST(server.stats().failed == 0U);
  }
}

BOOST_AUTO_TEST_CASE(a_throwing_handle_timeout_ends_nothing, *timeout(20)) {
  const Shared<Record> record;
  Throwing hooks{*record, net::Phase::handle_timeout, false};
  net::ServerOptions options = quick();
  options.timeout = 10ms;
  net::TcpServer<Echo> server{loopback(), options, hooks};
  server.handle_request();
  BOOST_TEST(record->told == 1);
  BOOST_TEST(server.stats().hook_errors == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_throwing_handle_error_is_only_counted, Policy, Policies) {
  const Shared<Record> record;
  Throwing hooks{*record, net::Phase::handle, false};
  net::TcpServer<ThrowsOnBang, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  Client unlucky{server};
  unlucky.send("!");
  BOOST_TEST(unlucky.sees_end());
  BOOST_TEST(Client(server).ask("still here") == "still here");
  running.stop();
  BOOST_TEST(record->told == 1);
  BOOST_TEST(server.stats().hook_errors == 1U);
  BOOST_TEST(server.stats().handler_errors == 1U);
  BOOST_TEST(server.stats().failed == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_refused_client_sees_the_end, Form, EchoForms) {
  Refusing hooks;
  typename Form::Server server{loopback(), quick(), hooks};
  Running running{server};
  Client refused{server};
  refused.send("hello");
  BOOST_TEST(refused.sees_end());
  BOOST_TEST(Client(server).ask("hello") == "hello");
  running.stop();
  BOOST_TEST(hooks.matching.load());
  BOOST_TEST(server.stats().refused == 1U);
  BOOST_TEST(server.stats().accepted == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
