// The demo server, from outside: datagrams whose answers would be answered, again and again.

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/name.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

bool cannot_forge(bool sent) {
  if (!sent) BOOST_TEST_MESSAGE("no datagram can be sent from another's port here");
  return !sent;
}

// Checks that the datagrams were refused, that none was answered, and that no loop goes on.
void check_refused(Survivor& server, std::uint64_t count) {
  BOOST_TEST(server.counts("refused", count));
  BOOST_TEST(server.stats().at("replies") == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_datagram_from_its_own_address_is_not_answered, policies, policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  const Line& line = server.echo.line;
  if (cannot_forge(send_from_port(line, line.port, "to and fro"))) return;
  check_refused(server, 1);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_datagram_from_another_of_its_endpoints_is_not_answered, policies, policy) {
  Survivor server({"--policy", policy, "--listen", "udp://127.0.0.1:0"}, {}, "udp");
  const Line other(server.echo.process.read_line());
  if (cannot_forge(send_from_port(server.echo.line, other.port, "to and fro"))) return;
  check_refused(server, 1);
}

// As an echo server on another host would send it. The test needs no privilege.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_datagram_from_its_port_at_another_address_is_not_answered, policies,
                     policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  const Name to(server.echo.line);
  const Name from({.host = "127.0.0.2", .port = server.echo.line.port, .path = {}});
  const Descriptor other(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  BOOST_REQUIRE(::bind(other.get(), from.get(), from.size()) == 0);
  BOOST_REQUIRE(::sendto(other.get(), "to and fro", 10, 0, to.get(), to.size()) == 10);
  check_refused(server, 1);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(datagrams_from_the_ports_of_services_are_not_answered, policies, policy) {
  Survivor server({"--policy", policy}, {}, "udp");
  const std::array<std::uint16_t, 7> ports{7, 13, 17, 19, 37, 53, 1023};
  for (const std::uint16_t port : ports) {
    if (cannot_forge(send_from_port(server.echo.line, port, "to and fro"))) return;
  }
  check_refused(server, ports.size());
}
