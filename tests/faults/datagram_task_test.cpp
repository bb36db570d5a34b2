// The demo server, from outside: it runs out of threads or children for datagrams.

#include <sys/resource.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "support/control_group.hpp"
#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

// A policy that makes a thread or a child for each datagram, the call that makes it, and how many
// calls succeed first. strace counts for each thread, and the main thread needs two.
struct Creation {
  std::string policy;
  std::string call;
  std::size_t passing;
  friend std::ostream& operator<<(std::ostream& out, const Creation& creation) {
    return out << creation.policy;
  }
};
const std::array creations{Creation{"thread", "clone3", 2}, Creation{"fork", "clone", 0}};

bool miscounted(const std::string& call) {
#if __has_feature(thread_sanitizer)
  if (call == "clone3") {
    BOOST_TEST_MESSAGE("the thread sanitizer makes a thread of its own");
    return true;
  }
#endif
  return call.empty();
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_datagram_that_gets_no_thread_is_dropped_and_counted,
                     data::make(datagram_kinds) * data::make(creations), kind, creation) {
  if (cannot_inject()) return;
  if (miscounted(creation.call)) return;
  constexpr std::size_t unlucky = 10;
  Survivor server(
      {"--policy", creation.policy},
      injecting(creation.call + ":error=EAGAIN:when=" + std::to_string(creation.passing + 1) + "+"),
      kind);
  const auto begin = Clock::now();
  const DatagramClient client = server.datagram_client();
  for (std::size_t i = 0; i < creation.passing; ++i) {
    client.send("lucky");
    BOOST_TEST((client.receive() == "lucky"));
    BOOST_TEST(server.comes_to_rest());
  }
  for (std::size_t i = 0; i < unlucky; ++i) client.send("unlucky");
  BOOST_TEST(server.counts("dropped", unlucky));
  auto stats = server.stats();
  BOOST_TEST(stats["policy_errors"] == unlucky);
  BOOST_TEST(stats["served"] == creation.passing);
  BOOST_TEST(!client.receive(0ms).has_value());
  server.end_injecting();
  server.common_end();
  BOOST_TEST(server.complaint_lines() >= 1U);
  BOOST_TEST(server.complaint_lines() <= 1U + static_cast<std::size_t>((Clock::now() - begin) / 1s),
             server.complaints());
}

// The system allows only a few more threads or children. The other datagrams wait until one of
// these is free, and none is dropped.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(datagrams_beyond_the_systems_limit_of_tasks_wait,
                     data::make(datagram_kinds) * data::make(creations), kind, creation) {
  constexpr std::size_t places = 4;
  constexpr std::size_t count = 100;
  const PidsGroup group;
  Survivor server({"--policy", creation.policy}, {}, kind);
  if (!group.take(server.echo.process.pid()) || !group.allow(server.threads() + places)) {
    BOOST_TEST_MESSAGE("no limit of tasks can be set here");
    return;
  }
  std::vector<DatagramClient> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(server.datagram_client());
  for (const DatagramClient& client : clients) client.send("patience");
  for (const DatagramClient& client : clients) BOOST_TEST((client.receive() == "patience"));
  BOOST_TEST(server.counts("served", count));
  BOOST_TEST(server.stats()["dropped"] == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// Each child costs the server a descriptor.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(datagrams_beyond_the_limit_of_descriptors_wait,
                     data::make(datagram_kinds) * data::make(policies), kind, policy) {
#if __has_feature(address_sanitizer)
  BOOST_TEST_MESSAGE("the sanitizer of undefined behaviour needs descriptors for its checks");
  return;
#endif
  constexpr std::size_t count = 100;
  Survivor server({"--policy", policy}, {}, kind);
  const rlimit few{server.descriptors() + 3, server.descriptors() + 3};
  BOOST_REQUIRE(::prlimit(server.echo.process.pid(), RLIMIT_NOFILE, &few, nullptr) == 0);
  std::vector<DatagramClient> clients;
  for (std::size_t i = 0; i < count; ++i) clients.push_back(server.datagram_client());
  for (const DatagramClient& client : clients) client.send("patience");
  for (const DatagramClient& client : clients) BOOST_TEST((client.receive() == "patience"));
  BOOST_TEST(server.counts("served", count));
  BOOST_TEST(server.stats()["dropped"] == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// The child that is killed serves only its own datagram.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_child_that_is_killed_takes_its_datagram_alone, datagram_kinds, kind) {
  if (cannot_inject()) return;
  // Each child is killed when it sends its first answer.
  Survivor server({"--policy", "fork"}, injecting("sendto,sendmsg:signal=KILL"), kind);
  const auto begin = Clock::now();
  const DatagramClient client = server.datagram_client();
  for (int i = 0; i < 5; ++i) client.send("never heard of again");
  BOOST_TEST(server.counts("failed", 5));
  BOOST_TEST(server.children() == 0U);
  server.end_injecting();
  server.common_end();
  BOOST_TEST(server.complaint_lines() <= 1U + static_cast<std::size_t>((Clock::now() - begin) / 1s),
             server.complaints());
}
