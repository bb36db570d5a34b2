// A process for each connection: what the parent sees.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "support/server_test.hpp"

namespace {

using Forking = net::ForkPerRequest;

// How many run at once, and the most that did.
struct Busy {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<int> begun{0};
  void enter() {
    const int count = ++now;
    for (int seen = most; seen < count && !most.compare_exchange_weak(seen, count);) {
    }
  }
};

struct Counted : net::StreamRequestHandler {
  explicit Counted(Busy& counter) : busy(counter) {}
  void setup() override { busy.enter(); }
  void finish() override { --busy.now; }
  net::Next handle() {
    // The first ones wait for each other.
    if (busy.begun++ < 8) soon([this] { return busy.most == 8; });
    wfile.write(rfile.read_some());
    return net::Next::close;
  }
  Busy& busy;
};

// Sees how many children the policy has.
class Counting : public net::ServerHooks {
 public:
  void service_actions() override {
    if (const Forking* const forking = policy) most = std::max(most.load(), forking->children());
    ++turns;
  }
  std::atomic<Forking*> policy{nullptr};
  std::atomic<std::size_t> most{0};
  std::atomic<int> turns{0};
};

struct Waiting : net::StreamRequestHandler {
  Waiting(const Gate& opening) : released(opening) {}
  net::Next handle() {
    const std::string text(rfile.read_some());
    released.wait();
    wfile.write(text);
    return net::Next::keep;
  }
  const Gate& released;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_fork, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_thousand_children_come_eight_at_once_and_go, *timeout(60)) {
  const pid_t foreign = ::fork();
  if (foreign == 0) ::_exit(72);
  const Shared<Busy> busy;
  Counting hooks;
  net::TcpServer<Counted, Forking> server{loopback(), quick(), Forking::Options{.max_children = 8},
                                          hooks, [&] { return Counted(*busy); }};
  hooks.policy = &server.policy();
  Running running{server};
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        try {
          Client client{server};
          client.send("hello");
          if (client.receive_all() == "hello") ++right;
        } catch (const std::exception&) {
          // Not right.
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(right == 1000);
  BOOST_TEST(busy->most == 8);
  BOOST_TEST(hooks.most <= 8U);
  // All are collected, without a close, and the only child left is the one that is not the
  // server's.
  BOOST_TEST(soon([&] { return server.stats().served == 1000; }));
  int status = 0;
  BOOST_TEST(::waitpid(-1, &status, 0) == foreign);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 72);
  BOOST_TEST(::waitpid(-1, &status, WNOHANG) == -1);
  BOOST_TEST(errno == ECHILD);
}

BOOST_AUTO_TEST_CASE(accepting_never_waits_for_a_child, *timeout(20)) {
  Gate released;
  Counting hooks;
  net::TcpServer<Waiting, Forking> server{loopback(), quick(), Forking::Options{.max_children = 2},
                                          hooks, [&] { return Waiting(released); }};
  Running running{server};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send("hello");
  }
  BOOST_TEST(soon([&] { return server.stats().accepted == 5; }));
  const int turns = hooks.turns;
  BOOST_TEST(soon([&] { return hooks.turns > turns + 2; }));
  BOOST_TEST(soon([&] { return server.stats().requests == 2; }));
  released.open();
  for (const auto& client : clients) {
    BOOST_TEST(client->receive(5) == "hello");
    client->end_sending();
    BOOST_TEST(client->sees_end());
  }
  running.stop();
  BOOST_TEST(server.stats().served == 5U);
}

BOOST_AUTO_TEST_CASE(a_host_may_ignore_sigchld, *timeout(20)) {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  {
    net::TcpServer<Echo, Forking> server{loopback(), quick()};
    Running running{server};
    for (int i = 0; i < 10; ++i) {
      Client client{server};
      BOOST_TEST(client.ask("hello") == "hello");
      client.end_sending();
      BOOST_TEST(client.sees_end());
    }
    BOOST_TEST(soon([&] { return server.stats().served == 10; }));
  }
  std::signal(SIGCHLD, before);
}

BOOST_AUTO_TEST_CASE(a_child_counts_for_its_parent, *timeout(20)) {
  net::TcpServer<Echo, Forking> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  for (int i = 0; i < 7; ++i) BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(server.stats().requests == 7U);
  client.reset();
  BOOST_TEST(soon([&] { return server.stats().peer_gone == 1; }));
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
}

BOOST_AUTO_TEST_SUITE_END()
