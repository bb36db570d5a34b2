// Closing a server whose handler is stuck in foreign code: no call of the library would end it.

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

struct Stuck : net::StreamRequestHandler {
  Stuck(Gate& entering, const Gate& opening, std::atomic<bool>& ending)
      : entered(entering), released(opening), finished(ending) {}
  net::Next handle() {
    rfile.read_some();
    entered.open();
    released.wait();
    return net::Next::close;
  }
  void finish() override { finished = true; }
  Gate& entered;
  const Gate& released;
  std::atomic<bool>& finished;
};

// Holds its child forever, whatever the client sends.
struct Deaf : net::StreamRequestHandler {
  void handle() {
    const Gate never;
    while (true) never.wait();
  }
};

using Threads = std::tuple<net::ThreadPool, net::ThreadPerRequest>;

// The documented bound is 100 ms; a busy machine gets more.
constexpr auto after_deadline = 100ms + 400ms;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_stuck, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_stuck_handler_is_told_and_waited_for_by_the_destructor, Policy,
                              Threads) {
  Gate entered;
  Gate released;
  std::atomic<bool> finished{false};
  auto server = std::make_unique<net::TcpServer<Stuck, Policy>>(
      loopback(), quick(), [&] { return Stuck(entered, released, finished); });
  std::optional<Running> running(std::in_place, *server);
  Client client{*server};
  client.send("x");
  BOOST_TEST(entered.wait());
  const auto begin = Clock::now();
  const net::DrainReport report = running->stop(200ms);
  BOOST_TEST((Clock::now() - begin < 200ms + after_deadline));
  BOOST_TEST((report == net::DrainReport{.stuck = 1}));
  BOOST_TEST((server->server_close(1s) == report));
  BOOST_TEST(client.is_closed());
  running.reset();
  std::thread releaser([&] {
    std::this_thread::sleep_for(50ms);
    released.open();
  });
  server.reset();
  BOOST_TEST(finished.load());
  releaser.join();
}

BOOST_AUTO_TEST_CASE(a_stuck_serving_thread_is_told_too, *timeout(20)) {
  Gate entered;
  Gate released;
  std::atomic<bool> finished{false};
  net::TcpServer<Stuck, net::Inline> server{loopback(), quick(),
                                            [&] { return Stuck(entered, released, finished); }};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(entered.wait());
  const auto begin = Clock::now();
  BOOST_TEST(server.server_close(200ms).stuck == 1U);
  BOOST_TEST((Clock::now() - begin < 200ms + after_deadline));
  BOOST_TEST(!finished);
  released.open();
  running.stop();
  BOOST_TEST(finished.load());
  BOOST_TEST(server.stats().cut == 1U);
}

BOOST_AUTO_TEST_CASE(a_stuck_child_is_killed, *timeout(20)) {
  Gate entered;
  const Gate released;
  std::atomic<bool> finished{false};
  net::TcpServer<Stuck, net::ForkPerRequest> server{
      loopback(), quick(), [&] { return Stuck(entered, released, finished); }};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(entered.wait());
  const auto begin = Clock::now();
  BOOST_TEST((running.stop(200ms) == net::DrainReport{.cut = 1}));
  BOOST_TEST((Clock::now() - begin < 200ms + after_deadline));
  BOOST_TEST(client.is_closed());
}

// The time that the system needs to end the children must neither delay the drain beyond its
// deadline, nor make them count as stuck.
BOOST_AUTO_TEST_CASE(hundreds_of_stuck_children_are_killed_in_time, *timeout(60)) {
  constexpr std::size_t running_at_once = 250;
  constexpr std::size_t all = 400;
  const std::string memory(100'000'000, 'x');  // each child has to give this memory back
  net::TcpServer<Deaf, net::ForkPerRequest> server{
      loopback(), quick(), net::ForkPerRequest::Options{.max_children = running_at_once}};
  Running running{server};
  std::vector<net::Socket> clients;
  while (clients.size() < all) {
    clients.push_back(net::create_connection(server.server_address(), 10s));
  }
  BOOST_TEST(soon([&] { return server.stats().waiting == all - running_at_once; }, 20s));
  const auto begin = Clock::now();
  const net::DrainReport report = running.stop(200ms);
  const auto time = Clock::now() - begin;
  BOOST_TEST_MESSAGE(std::chrono::duration_cast<std::chrono::milliseconds>(time).count() << " ms");
  BOOST_TEST((time < 200ms + after_deadline));
  BOOST_TEST(report.cut == running_at_once);
  BOOST_TEST(report.dropped == all - running_at_once);
  BOOST_TEST(report.stuck == 0U);
  BOOST_TEST(memory.back() == 'x');
}

BOOST_AUTO_TEST_CASE(kill_children_ends_them_at_once, *timeout(20)) {
  Gate entered;
  const Gate released;
  std::atomic<bool> finished{false};
  net::TcpServer<Stuck, net::ForkPerRequest> server{
      loopback(), quick(), [&] { return Stuck(entered, released, finished); }};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(entered.wait());
  server.kill_children();
  BOOST_TEST(client.is_closed());
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
  BOOST_TEST(server.stats().failed == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
