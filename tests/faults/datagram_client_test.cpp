// The demo server, from outside: what clients of datagrams can do to it, intentionally or not.

#include "support/datagram_client.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "support/canary.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr auto canary_patience = 10s;
#else
constexpr auto canary_patience = 1s;
#endif

// Stops the server while the clients do something, so that its answers are sent afterwards.
template <class Function>
void meanwhile(const Survivor& server, Function function) {
  server.echo.process.signal(SIGSTOP);
  BOOST_REQUIRE(::waitpid(server.echo.process.pid(), nullptr, WUNTRACED) > 0);
  function();
  server.echo.process.signal(SIGCONT);
}

void check_dropped(Survivor& server, std::uint64_t count) {
  BOOST_TEST(server.counts("served", count));
  BOOST_TEST(server.stats().at("replies_dropped") == count);
  BOOST_TEST(server.stats().at("failed") == 0U);
}

// Enlarges the send buffer of a Unix client's socket.
void send_buffer(const DatagramClient& client, int size) {
  BOOST_REQUIRE(::setsockopt(client.fileno(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

}  // namespace

// --- clients that cannot be answered -------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(nothing_is_sent_to_port_0, policies, policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  if (!send_from_port(server.echo.line, 0, "nowhere")) {
    BOOST_TEST_MESSAGE("no datagram can be sent from port 0 here");
    return;
  }
  check_dropped(server, 1);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_has_no_name_is_served_without_an_answer, policies, policy) {
  Survivor server({"--policy", policy}, {}, "unixgram");
  const Name to(server.echo.line);
  const Descriptor nameless(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(::sendto(nameless.get(), "hello", 5, 0, to.get(), to.size()) == 5);
  }
  check_dropped(server, 3);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// By then the client's name is gone, free, or another client's.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_has_gone_by_then_is_not_missed, policies, policy) {
  Survivor server({"--policy", policy}, {}, "unixgram");
  const Line& line = server.echo.line;
  const Scratch scratch;
  Descriptor connections(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  meanwhile(server, [&] {
    for (const std::string name : {"gone", "nobodys", "anothers"}) {
      DatagramClient(line, scratch.path(name)).send("hello");
    }
    std::filesystem::remove(scratch.path("gone"));
    std::filesystem::remove(scratch.path("anothers"));
    const Name another({.host = {}, .port = 0, .path = scratch.path("anothers")});
    BOOST_REQUIRE(::bind(connections.get(), another.get(), another.size()) == 0);
    BOOST_REQUIRE(::listen(connections.get(), 1) == 0);
  });
  check_dropped(server, 3);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// The server learns nothing of these clients: the kernel reports no error to a socket that is not
// connected.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(udp_clients_that_have_gone_hold_nothing_up, policies, policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  meanwhile(server, [&] {
    for (int i = 0; i < 50; ++i) server.datagram_client().send("hello");
  });
  BOOST_TEST(server.counts("served", 50));
  BOOST_TEST(server.stats().at("failed") == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(who_reads_no_answers_keeps_nobody_waiting,
                     data::make(datagram_kinds) * data::make(policies), kind, policy) {
  constexpr std::size_t count = 300;
  Survivor server({"--policy", policy}, {}, kind);
  {
    const DatagramClient deaf = server.datagram_client();
    const DatagramClient other = server.datagram_client();
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < count; ++i) {
      deaf.send(pattern(1000, i));
      if (i % 30 == 0) BOOST_TEST(other.echoes("I do", canary_patience));
    }
    BOOST_TEST((Clock::now() - begin < 10 * canary_patience));
    // It still gets the datagrams that the kernel keeps for it.
    BOOST_TEST(deaf.receive().has_value());
  }
  const auto stats = server.stats();
  BOOST_TEST(stats.at("failed") == 0U);
  // For a Unix client that does not read, the kernel keeps few datagrams. On a network the server
  // does not learn what was lost.
  if (kind == "unixgram") BOOST_TEST(stats.at("replies_dropped") > 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// The kernel charges the datagrams that a Unix client has not read to the server's send buffer.
// Until that client reads or leaves, the answers to other clients find no buffer space, so they are
// dropped and counted.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_hoards_large_answers_has_others_miss_theirs_until_it_goes, policies,
                     policy) {
  Survivor server({"--policy", policy}, {}, "unixgram");
  const DatagramClient other = server.datagram_client();
  {
    const DatagramClient hoarding = server.datagram_client();
    for (int i = 0; i < 8; ++i) hoarding.send(pattern(60'000, 1));
    BOOST_TEST(server.counts("served", 8));
    other.send("no room");
    BOOST_TEST(server.counts("served", 9));
    BOOST_TEST(!other.receive(0ms).has_value());
    BOOST_TEST(server.stats().at("replies_dropped") > 1U);
    BOOST_TEST(hoarding.receive().has_value());
    BOOST_TEST(other.echoes("room again", canary_patience));
  }
  BOOST_TEST(other.echoes("room for all", canary_patience));
  BOOST_TEST(server.stats().at("failed") == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- floods -------------------------------------------------------------------------------------

// The flood comes in bursts, with time for the canary's datagrams between them, because the loss of
// a datagram in the network would prove nothing about the server.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_canary_is_answered_beside_a_flood,
                     data::make(datagram_kinds) * data::make(policies) *
                         data::make({std::size_t{0}, std::size_t{60'000}}),
                     kind, policy, size) {
  Survivor server({"--policy", policy}, {}, kind);
  const auto begin = Clock::now();
  {
    std::optional<DatagramClient> flooding = server.datagram_client();
    const std::string text = pattern(size, 1);
    Canary canary(server.echo.line);
    std::size_t sent = 0;
    for (auto next = begin; next < begin + 2s; next += 20ms) {
      for (int i = 0; i < 20; ++i) sent += flooding->try_send(text) == 0 ? 1 : 0;
      while (Clock::now() < next + 20ms) flooding->receive(1ms);
    }
    flooding.reset();
    canary.join();
    BOOST_TEST(canary.missed() == "");
    BOOST_TEST((canary.longest() <= canary_patience), canary.longest().count() << " ms");
    // Under a sanitizer, a Unix server that forks for each datagram takes fewer than fifty a
    // second.
    BOOST_TEST(sent > 20U);
    BOOST_TEST(canary.times() > 1U);
  }
  BOOST_TEST(server.stats().at("failed") == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// Each datagram is larger than the server receives, and its answer would be larger than the server
// can send. So each one is an error of the handler, and nothing else fails.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(an_oversize_datagram_fails_alone, policies, policy) {
  constexpr std::size_t count = 20;
  constexpr int room = 400'000;
  Survivor server({"--policy", policy}, {}, "unixgram");
  const auto begin = Clock::now();
  {
    const DatagramClient client = server.datagram_client();
    send_buffer(client, room);
    Canary canary(server.echo.line);
    for (std::size_t i = 0; i < count; ++i) client.send(pattern(300'000, i));
    BOOST_TEST(server.counts("failed", count));
    canary.join();
    BOOST_TEST(canary.missed() == "");
    BOOST_TEST((canary.longest() <= canary_patience), canary.longest().count() << " ms");
    BOOST_TEST(!client.receive(0ms).has_value());
  }
  server.common_end();
  BOOST_TEST(server.complaint_lines() >= 1U);
  BOOST_TEST(server.complaint_lines() <= 1U + static_cast<std::size_t>((Clock::now() - begin) / 1s),
             server.complaints());
}
