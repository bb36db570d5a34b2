// Limits of many connections: the server looks at each connection when its limit is due, and not
// before.

#include <unistd.h>

#include <fstream>
#include <string>

#include "support/server_test.hpp"

namespace {

// Serves in a thread of its own, and reports how often that thread slept.
class Watched {
 public:
  explicit Watched(net::BaseServer& server)
      : server_(server), thread_([this] {
          task_ = ::gettid();
          started_.open();
          server_.serve_forever();
        }) {
    BOOST_TEST(started_.wait());
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() {
    server_.server_close(5s);
    thread_.join();
    check_sum(server_);
  }

  std::uint64_t sleeps() const {
    std::ifstream status("/proc/self/task/" + std::to_string(task_) + "/status");
    std::string word;
    while (status >> word) {
      if (word == "voluntary_ctxt_switches:") break;
    }
    std::uint64_t count = 0;
    status >> count;
    BOOST_TEST(!status.fail());
    return count;
  }

 private:
  net::BaseServer& server_;
  Gate started_;
  std::atomic<int> task_{0};
  std::thread thread_;
};

net::ServerOptions with(net::Limits limits) {
  net::ServerOptions options = quick();
  options.limits = limits;
  return options;
}

// Takes 250 ms to handle a request.
struct Slow : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    std::this_thread::sleep_for(250ms);
    return net::Next::keep;
  }
};

// Reads from the socket directly, and handles its request slowly.
struct SlowRaw : net::BaseRequestHandler {
  explicit SlowRaw(std::atomic<int>& counter) : calls(counter) {}
  net::Next handle() {
    ++calls;
    std::array<std::byte, 16> bytes{};
    const std::size_t count = request().recv(bytes);
    request().sendall(std::span(bytes).first(count));
    std::this_thread::sleep_for(250ms);
    return net::Next::keep;
  }
  std::atomic<int>& calls;
};

std::vector<std::unique_ptr<Client>> connected(const net::BaseServer& server, std::size_t count) {
  std::vector<std::unique_ptr<Client>> clients;
  while (clients.size() < count) {
    clients.push_back(std::make_unique<Client>(server));
    BOOST_TEST(clients.back()->ask("hello") == "hello");
  }
  return clients;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_time, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_quiet_server_is_not_woken, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(),
                                      with({.request = 2400ms, .idle = 2400ms, .send = 2400ms})};
  const Watched serving{server};
  const auto clients = connected(server, 20);
  std::this_thread::sleep_for(50ms);
  const std::uint64_t sleeps = serving.sleeps();
  std::this_thread::sleep_for(500ms);
  BOOST_TEST(serving.sleeps() == sleeps);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_without_clients_is_not_woken, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), with({.idle = 50ms})};
  const Watched serving{server};
  BOOST_TEST(connected(server, 1).front()->sees_end());
  BOOST_TEST(soon([&] { return server.stats().closed_idle == 1; }));
  std::this_thread::sleep_for(100ms);
  const std::uint64_t sleeps = serving.sleeps();
  std::this_thread::sleep_for(300ms);
  BOOST_TEST(serving.sleeps() == sleeps);
}

// More connections than the server looks at under one lock.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(many_limits_pass_at_once, Policy, Policies) {
  net::ServerOptions options = with({.idle = 400ms});
  options.max_connections = 1000;
  net::TcpServer<Echo, Policy> server{loopback(), options};
  Running running{server};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<Client>(server));
  for (const auto& client : clients) BOOST_TEST(client->sees_end());
  BOOST_TEST(soon([&] { return server.stats().closed_idle == 300; }));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_goes_on_asking_is_not_closed, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), with({.idle = 400ms})};
  Running running{server};
  Client client{server};
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(client.ask("hello") == "hello");
    std::this_thread::sleep_for(100ms);
  }
  BOOST_TEST(client.ask("still") == "still");
  BOOST_TEST(client.sees_end());
}

// The idle limit is due while the handler runs.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(limits_hold_after_a_long_handler, Policy, Policies) {
  net::TcpServer<Slow, Policy> server{loopback(), with({.idle = 100ms})};
  Running running{server};
  Client client{server};
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(client.sees_end());
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= 330ms));
  BOOST_TEST(soon([&] { return server.stats().closed_idle == 1; }));
}

// The event that makes the connection park again is not a request.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_limit_during_a_handler_calls_it_not_again, Policy, Policies) {
  const Shared<std::atomic<int>> calls;
  net::TcpServer<SlowRaw, Policy> server{loopback(), with({.idle = 100ms}),
                                         [&] { return SlowRaw(*calls); }};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(client.sees_end());
  BOOST_TEST(soon([&] { return server.stats().closed_idle == 1; }));
  BOOST_TEST(*calls == 1);
}

// The connection alternates between two states, of which one has a shorter limit.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_limit_of_the_moment_counts, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), with({.request = 200ms, .idle = 700ms})};
  Running running{server};
  Client client{server};
  for (int i = 0; i < 2; ++i) {
    client.send("half");
    std::this_thread::sleep_for(50ms);
    client.send(" and half\n");
    BOOST_TEST(client.receive(14) == "half and half\n");
    BOOST_TEST(!client.socket.wait_to_receive(300ms));
  }
  client.send("half");
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(client.is_closed());
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= 150ms));
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 600ms));
  BOOST_TEST(soon([&] { return server.stats().timed_out == 1; }));
}

// Clients that send a request just before or after their limits are due. Whichever comes first, no
// connection may stay open.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(no_limit_is_lost_in_a_race, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), with({.request = 30ms, .idle = 40ms})};
  Running running{server};
  std::atomic<int> forgotten{0};
  std::vector<std::thread> asking;
  for (unsigned i = 0; i < 8; ++i) {
    asking.emplace_back([&server, &forgotten, i] {
      const auto end = std::chrono::steady_clock::now() + 700ms;
      for (unsigned round = i; std::chrono::steady_clock::now() < end; ++round) {
        Client client{server};
        try {
          for (unsigned j = 0; j < 20; ++j) {
            client.send(j % 3 == 0 ? "half" : "half\n");
            // Sleeps until near a limit, or near the end of a bucket of 17 ms, to which limits are
            // rounded up.
            std::this_thread::sleep_for(std::chrono::milliseconds((round * 7 + j * 11) % 60));
          }
        } catch (const std::system_error&) {
          // The limit was due first.
        }
        if (!client.is_closed()) ++forgotten;
      }
    });
  }
  for (std::thread& thread : asking) thread.join();
  BOOST_TEST(forgotten == 0);
  BOOST_TEST(soon([&] { return server.stats().ended() == server.stats().accepted; }));
}

BOOST_AUTO_TEST_SUITE_END()
