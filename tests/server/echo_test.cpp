// An echo, under every policy and with both forms of handler.

#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/server_test.hpp"

BOOST_FIXTURE_TEST_SUITE(server_echo, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(three_clients_in_turn_get_their_lines_back, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  for (int i = 0; i < 3; ++i) {
    Client client{server};
    BOOST_TEST(client.ask("hello world\n") == "hello world\n");
    BOOST_TEST(client.ask("and again\n") == "and again\n");
    client.end_sending();
    BOOST_TEST(client.sees_end());
  }
  const auto report = running.stop();
  BOOST_TEST(report.cut == 0U);
  BOOST_TEST(server.stats().accepted == 3U);
  BOOST_TEST(server.stats().served == 3U);
}

// The policy has slots for all conversations, because each one occupies a thread or a child.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(fifty_connections_in_step_get_every_byte_back, Form, EchoForms) {
  using Policy = typename Form::Policy;
  constexpr bool one_at_a_time = std::is_same_v<Policy, net::Inline> &&
                                 std::is_same_v<typename Form::Handler, EchoConversation>;
  constexpr std::size_t count = one_at_a_time ? 1 : 50;
  typename Form::Server server{loopback(), quick(), at_once<Policy>(count)};
  Running running{server};
  std::barrier step(static_cast<std::ptrdiff_t>(count));
  std::atomic<std::size_t> right{0};
  constexpr std::array<std::size_t, 5> sizes{1, 63, 1460, 16384, 65536};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      std::optional<Client> client;
      try {
        client.emplace(server);
      } catch (const std::exception&) {
        // Counted below, because no size was right.
      }
      for (const std::size_t size : sizes) {
        step.arrive_and_wait();
        const std::string sent = pattern(size, i);
        try {
          if (client && client->ask(sent) == sent) ++right;
        } catch (const std::exception&) {
          client.reset();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(right == count * sizes.size());
  running.stop();
  BOOST_TEST(server.stats().accepted == count);
  BOOST_TEST(server.stats().failed == 0U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_ended_its_sending_gets_its_answer, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client client{server};
  const std::string sent = pattern(100'000);
  std::thread sender([&] {
    client.send(sent);
    client.end_sending();
  });
  BOOST_TEST((client.receive_all() == sent));
  sender.join();
  running.stop();
  BOOST_TEST(server.stats().served == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_says_nothing_and_goes_is_served, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  {
    const Client client{server};
  }
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
}

BOOST_AUTO_TEST_SUITE_END()
