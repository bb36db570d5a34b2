// The demo server, from outside: many clients at once, resets, and calls that are interrupted.

#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

// Raises the limit of descriptors for the test's own clients. Returns false if the hard limit is
// too low.
bool may_open(std::size_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= descriptors) return true;
  limit.rlim_cur = descriptors;
  if (limit.rlim_max >= descriptors && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return true;
  BOOST_TEST_MESSAGE("too few descriptors for this test");
  return false;
}

// Closes with a reset.
void reset(Client client) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(client.fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

// --- bursts -------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(all_of_a_thousand_clients_at_once_are_answered,
                     data::make(policies) * data::make({false, true}), policy, stopped_meanwhile) {
  constexpr std::size_t connections = 1000;
  if (!may_open(connections + 50)) return;
  Survivor server({"--policy", policy});
  if (stopped_meanwhile) server.echo.process.signal(SIGSTOP);
  const std::vector<Client> clients = connect(server, connections);
  for (const Client& client : clients) {
    client.send("hello\n");
    client.end_output();
  }
  if (stopped_meanwhile) server.echo.process.signal(SIGCONT);
  std::size_t answered = 0;
  for (const Client& client : clients) answered += client.receive_to_end() == "hello\n" ? 1 : 0;
  BOOST_TEST(answered == connections);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(two_thousand_resets_at_once_go_by_unnoticed, policies, policy) {
  Survivor server({"--policy", policy});
  {
    const Client other = server.client();
    for (std::size_t i = 0; i < 100; ++i) {
      const std::string sent = pattern(2000, i);
      other.send(sent);
      for (int resets = 0; resets < 20; ++resets) reset(server.client());
      BOOST_TEST((other.receive(sent.size()) == sent));
    }
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- signals ------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(interrupted_calls_lose_nothing,
                     data::make(policies) *
                         data::make({"accept4", "poll", "epoll_wait", "recvfrom", "sendto"}),
                     policy, call) {
  constexpr std::size_t block = 100'000;
  if (cannot_inject()) return;
  Survivor server({"--policy", policy}, injecting(std::string(call) + ":error=EINTR:when=2+3"));
  {
    const std::vector<Client> clients = connect(server, 4);
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < clients.size(); ++i) messages.push_back(pattern(block, i));
    BOOST_TEST(echo_all(clients, messages) == clients.size());
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}
