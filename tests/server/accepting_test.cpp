// Which thread accepts: the pool's worker that waits in the lot, or the serving thread.

#include <atomic>
#include <list>
#include <thread>

#include "support/server_test.hpp"

namespace {

// Holds the serving thread at its next turn, until the gate opens.
struct Holding final : net::ServerHooks {
  void service_actions() override {
    if (!hold) return;
    held = true;
    gate.wait();
  }
  std::atomic<bool> hold{false};
  std::atomic<bool> held{false};
  Gate gate;
};

// A class between ServerHooks and the hooks that override `verify_request`.
struct Silent : net::ServerHooks {
  void report(const net::Event&) override {}
};

struct Verifying : Silent {
  void service_actions() override { serving = std::this_thread::get_id(); }
  bool verify_request(const net::Socket&, const net::Address&) override {
    if (std::this_thread::get_id() == serving.load()) ++there;
    ++asked;
    return asked % 2 != 0;
  }
  std::atomic<std::thread::id> serving;
  std::atomic<int> asked{0};
  std::atomic<int> there{0};
};

void check_verifies_on_the_serving_thread(net::BaseServer& server, const Verifying& hooks) {
  Running running(server);
  BOOST_REQUIRE(soon([&] { return hooks.serving.load() != std::thread::id(); }));
  for (int i = 0; i < 10; ++i) {
    Client client(server);
    if (i % 2 == 0) {
      BOOST_TEST(client.ask("x") == "x");
    } else {
      BOOST_TEST(client.is_closed());
    }
  }
  BOOST_TEST(hooks.asked == 10);
  BOOST_TEST(hooks.there == 10);
  BOOST_TEST(soon([&] { return server.stats().refused == 5U; }));
}

}  // namespace

BOOST_AUTO_TEST_CASE(newcomers_of_a_pool_need_no_serving_thread, *timeout(20)) {
  const LeavesNothing nothing;
  Holding hooks;
  net::TcpServer<Echo> server(loopback(), hooks);
  Running running(server);
  Client(server).ask("x");
  hooks.hold = true;
  BOOST_REQUIRE(soon([&] { return hooks.held.load(); }));
  std::list<Client> clients;
  for (int i = 0; i < 100; ++i) BOOST_TEST(clients.emplace_back(server).ask("new") == "new");
  BOOST_TEST(server.stats().accepted == 101U);
  hooks.hold = false;
  hooks.gate.open();
}

BOOST_AUTO_TEST_CASE(a_verify_request_of_ones_own_runs_on_the_serving_thread, *timeout(20)) {
  const LeavesNothing nothing;
  Verifying hooks;
  net::TcpServer<Echo> server(loopback(), hooks, quick());
  check_verifies_on_the_serving_thread(server, hooks);
}

BOOST_AUTO_TEST_CASE(also_if_only_the_hooks_base_is_known, *timeout(20)) {
  const LeavesNothing nothing;
  Verifying hooks;
  net::TcpServer<Echo> server(loopback(), static_cast<net::ServerHooks&>(hooks), quick());
  check_verifies_on_the_serving_thread(server, hooks);
}

BOOST_AUTO_TEST_CASE(also_if_only_a_base_between_is_known, *timeout(20)) {
  const LeavesNothing nothing;
  Verifying hooks;
  net::TcpServer<Echo> server(loopback(), static_cast<Silent&>(hooks), quick());
  check_verifies_on_the_serving_thread(server, hooks);
}

// A limit closes these connections, although the serving thread slept without a limit when they
// arrived.
BOOST_AUTO_TEST_CASE(who_came_while_the_serving_thread_slept_is_closed_in_time, *timeout(20)) {
  const LeavesNothing nothing;
  net::ServerOptions options = quick();
  options.limits.idle = std::chrono::milliseconds(50);
  net::TcpServer<Echo> server(loopback(), options);
  Running running(server);
  for (int i = 0; i < 5; ++i) {
    Client client(server);
    BOOST_TEST(client.is_closed());
    BOOST_TEST(soon([&] { return server.stats().closed_idle == std::uint64_t(i) + 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(30 * i));  // some sweeps close nothing
  }
}
