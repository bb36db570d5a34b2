// The memory that the server holds for clients has a budget.

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "support/server_test.hpp"

namespace {

constexpr std::size_t large = 60'000;

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
std::size_t resident() {
  std::ifstream file("/proc/self/statm");
  std::size_t whole = 0;
  std::size_t pages = 0;
  file >> whole >> pages;
  return pages * 4096;
}
#endif

using Clients = std::vector<std::unique_ptr<Client>>;

Clients with_half_a_request(const net::BaseServer& server, std::size_t count) {
  Clients clients;
  const std::string half(large, 'x');
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send(half);
  }
  return clients;
}

// Answers a line with as many bytes as the buffer of an answer takes, which is more than the kernel
// takes.
struct Generous : LineEcho {
  net::Next handle() {
    if (!rfile.read_line()) return net::Next::close;
    wfile.write(std::string(300'000, 'x'));
    return net::Next::keep;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_buffer_memory, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_holds_most_of_it_is_shed, Policy, ThreadPolicies) {
  net::ServerOptions options = quick();
  options.buffer_memory = 10 * large;
  net::TcpServer<LineEcho, Policy> server{loopback(), options};
  Running running{server};
  Client modest{server};
  modest.send("hel");
  const Clients greedy = with_half_a_request(server, 30);
  BOOST_TEST(soon([&] { return server.stats().shed_greedy >= 20; }));
  BOOST_TEST(server.stats().shed_greedy < 30U);
  BOOST_TEST(server.stats().shed == server.stats().shed_greedy);
  modest.send("lo\n");
  BOOST_TEST(modest.receive(6) == "hello\n");
  std::size_t closed = 0;
  for (const auto& client : greedy) {
    if (client->socket.wait_to_receive(0ms)) ++closed;
  }
  BOOST_TEST(closed == server.stats().shed_greedy);
  // The clients that were not shed finish their requests.
  for (const auto& client : greedy) {
    if (client->socket.wait_to_receive(0ms)) continue;
    client->send("\n");
    BOOST_TEST(client->receive(large + 1).size() == large + 1);
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(answers_that_are_not_taken_count_as_well, Policy, ThreadPolicies) {
  net::ServerOptions options = quick();
  options.buffer_memory = 1'000'000;
  options.write_buffer = 300'000;
  SmallBuffers hooks;
  net::TcpServer<Generous, Policy> server{loopback(), options, hooks};
  Running running{server};
  Clients deaf;
  for (int i = 0; i < 10; ++i) {
    deaf.push_back(std::make_unique<Client>(Client::slow_reader(server)));
    deaf.back()->send("more\n");
  }
  BOOST_TEST(soon([&] { return server.stats().shed_greedy >= 5; }));
  BOOST_TEST(server.stats().shed_greedy < 10U);
}

BOOST_AUTO_TEST_CASE(who_is_served_gives_it_back, *timeout(20)) {
  net::ServerOptions options = quick();
  options.buffer_memory = 3 * large;
  net::TcpServer<LineEcho> server{loopback(), options};
  Running running{server};
  Client client{server};
  for (int i = 0; i < 20; ++i) {
    client.send(std::string(large, 'x'));
    BOOST_TEST(soon([&] { return server.stats().parked == 1; }));
    BOOST_TEST(client.ask("\n").size() == 1U);
    client.receive(large);
  }
  BOOST_TEST(server.stats().shed_greedy == 0U);
}

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
BOOST_AUTO_TEST_CASE(the_memory_of_a_peak_goes_back_to_the_system, *timeout(40)) {
  net::TcpServer<LineEcho> server{loopback(), quick()};
  Running running{server};
  const std::size_t before = resident();
  {
    const Clients many = with_half_a_request(server, 400);
    // The server's own count is checked, because some of the buffers may use memory that earlier
    // tests left free in this process.
    BOOST_TEST(soon([&] { return server.load().buffered >= 400 * large; }));
  }
  // The server gives memory back when a sixteenth of the peak is still held. This much may stay,
  // and the free end of each thread's arena, which malloc_trim(3) does not touch.
  BOOST_TEST(
      soon([&] { return resident() < before + 400 * large / 5; }),
      resident() << " bytes, before the peak " << before << ", held " << server.load().buffered);
}
#endif

BOOST_AUTO_TEST_SUITE_END()
