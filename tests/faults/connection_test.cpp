// The demo server, from outside: what a single connection can do to it, on purpose or not.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <future>
#include <string>
#include <string_view>
#include <thread>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

const std::array<std::string, 2> handlers{"request", "conversation"};

template <class Value>
void set(const Client& client, int level, int option, const Value& value) {
  BOOST_REQUIRE(::setsockopt(client.fileno(), level, option, &value, sizeof value) == 0);
}

// Closes the connection by a reset.
void reset(Client client) { set(client, SOL_SOCKET, SO_LINGER, linger{1, 0}); }

bool lingering_ends(Survivor& server, std::chrono::milliseconds within) {
  return soon([&] { return server.stats().at("lingering") == 0; }, within);
}

std::string lines(std::size_t count, std::size_t size) {
  std::string text = pattern(count * size, 3);
  std::ranges::replace(text, '\n', '.');
  for (std::size_t end = size; end <= text.size(); end += size) text[end - 1] = '\n';
  return text;
}

// Sends the text in two pieces that arrive one after the other.
void send_apart(const Client& client, std::string_view text, std::size_t first_piece) {
  client.send(text.substr(0, first_piece));
  std::this_thread::sleep_for(500us);
  client.send(text.substr(first_piece));
}

// Runs a program with a monotonic clock just before fifty days, when a count of milliseconds in 32
// bits would overflow.
const Words aged{"unshare", "-T", "--fork", "--kill-child", "--monotonic", "4294967"};

bool can_age() {
  Words probe = aged;
  probe.emplace_back("true");
  try {
    return Process(probe).wait() == 0;
  } catch (const std::exception&) {
    return false;
  }
}

pid_t only_child(pid_t parent) {
  const std::string process = std::to_string(parent);
  pid_t child = 0;
  std::ifstream("/proc/" + process + "/task/" + process + "/children") >> child;
  return child;
}

}  // namespace

// --- peers that leave ----------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(peers_that_reset_in_the_middle_of_a_response_are_only_counted, policies,
                     policy) {
  constexpr int resets = 200;
  const std::string piece = pattern(1'000'000, 1);
  Survivor server({"--policy", policy});
  const Client other = server.client();
  for (int i = 0; i < resets; ++i) {
    Client client = server.client();
    ::send(client.fileno(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    BOOST_TEST((client.receive(1000) == piece.substr(0, 1000)));
    reset(std::move(client));
  }
  BOOST_TEST(server.counts("peer_gone", resets));
  BOOST_TEST(echoes(other));
  other.end_output();
  BOOST_TEST(other.receive_to_end().empty());
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_client_that_has_ended_its_output_gets_the_rest, policies, policy) {
  const std::string sent = pattern(10'000'000, 2);
  Survivor server({"--policy", policy});
  const Client client = server.client();
  auto sending = std::async(std::launch::async, [&] {
    client.send(sent);
    client.end_output();
  });
  const std::string received = client.receive_to_end();
  sending.get();
  BOOST_TEST((received == sent));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_client_that_never_speaks_is_closed_at_the_idle_limit, policies, policy) {
  Survivor server({"--policy", policy, "--idle-timeout", "0.3"});
  const auto begin = Clock::now();
  const Client client = server.client();
  BOOST_TEST(client.receive_to_end().empty());
  const auto lasted = Clock::now() - begin;
  BOOST_TEST((lasted > 250ms && lasted < 2s));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- answers arrive ------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(answers_survive_that_the_rest_of_the_input_is_refused, policies* handlers,
                     policy, handler) {
  const std::string answered = lines(3000, 100);
  Survivor server({"--policy", policy, "--handler", handler, "--framing", "line"});
  const Client client = server.client();
  set(client, SOL_SOCKET, SO_RCVBUF, 32 * 1024);
  // This is more than a line may have. The server closes with most of it unread, which would reset
  // the connection.
  client.send(answered + std::string(200'000, 'x'));
  BOOST_TEST(server.counts("lingering", 1));
  std::string received;
  BOOST_CHECK_NO_THROW(received = client.receive_to_end());
  BOOST_TEST((received == answered), received.size() << " of " << answered.size() << " bytes");
  client.end_output();
  BOOST_TEST(server.counts("failed", 1));
  server.common_end();
}

// The serving thread closes the connection under each policy, but with fork the child has a copy.
BOOST_AUTO_TEST_CASE(clients_that_never_close_are_not_waited_for_long, *timeout(60)) {
  Survivor pool({"--policy", "pool", "--framing", "line"});
  Survivor fork({"--policy", "fork", "--framing", "line"});
  const std::string answered = lines(1000, 100);
  const std::array<Client, 2> clients{pool.client(), fork.client()};
  for (const Client& client : clients) client.send(answered + std::string(200'000, 'x'));
  for (Survivor* const server : {&pool, &fork}) BOOST_TEST(server->counts("lingering", 1));
  for (Survivor* const server : {&pool, &fork}) {
    BOOST_TEST(lingering_ends(*server, 3s));
    server->common_end();
  }
  for (const Client& client : clients) BOOST_TEST((client.receive_to_end() == answered));
}

// --- how requests are split ----------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(requests_may_come_in_any_pieces, policies* handlers, policy, handler) {
  const std::string text = "one line\nand another\n";
  Survivor server({"--policy", policy, "--handler", handler, "--framing", "line"});
  const Client client = server.client();
  set(client, IPPROTO_TCP, TCP_NODELAY, 1);
  for (std::size_t place = 0; place <= text.size(); ++place) {
    send_apart(client, text, place);
    BOOST_TEST(client.receive(text.size()) == text);
  }
  for (const char& byte : text) send_apart(client, {&byte, 1}, 1);
  BOOST_TEST(client.receive(text.size()) == text);
  // The rest of the input at the end of the stream is a request too, whether complete or not.
  send_apart(client, text + "the last", text.size() + 3);
  client.end_output();
  BOOST_TEST(client.receive_to_end() == text + "the last");
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- the environment of the server ---------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(limits_hold_after_fifty_days_of_uptime, policies, policy) {
  if (!can_age()) {
    BOOST_TEST_MESSAGE("no clock of its own is to be had here");
    return;
  }
  Echo echo({"--policy", policy, "--framing", "line", "--idle-timeout", "0.3", "--request-timeout",
             "0.3"},
            {}, aged);
  const pid_t server = only_child(echo.process.pid());
  BOOST_REQUIRE(server > 0);
  const auto begin = Clock::now();
  const Client idle = echo.client();
  const Client busy = echo.client();
  BOOST_TEST(echoes(idle));
  busy.send("no end");
  BOOST_TEST(idle.receive_to_end().empty());
  BOOST_TEST(busy.receive_to_end().empty());
  const auto lasted = Clock::now() - begin;
  BOOST_TEST((lasted > 250ms && lasted < 2s));
  BOOST_TEST(echoes(echo.client()));
  BOOST_TEST(::kill(server, SIGTERM) == 0);
  BOOST_TEST(echo.process.wait() == 0);
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_stderr_that_nobody_reads_holds_nobody_up, policies, policy) {
  Echo echo({"--policy", policy, "--framing", "line"});
  const Client client = echo.client();
  // This writes far more lines than a pipe holds.
  for (int i = 0; i < 1000; ++i) {
    echo.process.signal(SIGUSR1);
    BOOST_REQUIRE(echoes(client));
  }
  // Each of these clients causes a complaint.
  for (int i = 0; i < 8; ++i) {
    const Client wrong = echo.client();
    wrong.send(std::string(70'000, 'x'));
    BOOST_TEST(wrong.receive_to_end().empty());
  }
  BOOST_TEST(echoes(client));
  BOOST_TEST(echoes(echo.client()));
  // The server does not even wait until its last lines are read.
  echo.process.signal(SIGTERM);
  BOOST_TEST(echo.process.wait() == 0);
  BOOST_TEST(client.receive_to_end().empty());
}
