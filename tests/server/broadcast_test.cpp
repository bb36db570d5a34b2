// Datagrams that were sent to a group or a broadcast address, from which no answer can be sent.

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <array>
#include <string>
#include <system_error>

#include "support/own_network.hpp"
#include "support/server_test.hpp"

namespace {

using boost::unit_test::precondition;
using support::OwnNetwork;

const std::string group = "239.9.0.1";
const std::string group_of_ipv6 = "ff02::9:1";

template <class T>
std::span<const std::byte> as_bytes(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

// A network in which this host has addresses.
class Addressed {
 public:
  Addressed() {
    support::ip({"link", "set", "lo", "up"});
    support::ip({"address", "add", "10.9.0.1/24", "broadcast", "+", "dev", OwnNetwork::left});
    support::ip({"address", "add", "fd00:9::1/64", "dev", OwnNetwork::left, "nodad"});
    for (const std::string& host : {std::string("fd00:9::1"), "ff02::1%" + left()}) wait_for(host);
  }
  static std::string left() { return OwnNetwork::left; }

 private:
  // An IPv6 address gets its routes a moment after ip(8) has ended.
  static void wait_for(const std::string& host) {
    net::Socket socket(net::Family::ipv6, net::SocketType::datagram);
    socket.bind({"::", 0});
    const net::Address itself(host, socket.getsockname().port());
    socket.settimeout(10ms);
    const bool heard = soon([&] {
      try {
        socket.sendto(net::bytes("anybody?"), itself);
        std::array<std::byte, 100> text{};
        return socket.recv(text) > 0;
      } catch (const std::system_error&) {
        return false;
      }
    });
    BOOST_REQUIRE(heard);
  }

  OwnNetwork network_;
};

// Makes the server's socket join the groups.
struct Joining : net::ServerHooks {
  void server_bind(net::Socket& socket, const net::Address& address) override {
    net::ServerHooks::server_bind(socket, address);
    const int interface = static_cast<int>(::if_nametoindex(OwnNetwork::left));
    ip_mreqn ipv4{};
    ::inet_pton(AF_INET, group.c_str(), &ipv4.imr_multiaddr);
    ipv4.imr_ifindex = interface;
    socket.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, as_bytes(ipv4));
    if (address.family() != net::Family::ipv6) return;
    ipv6_mreq ipv6{};
    ::inet_pton(AF_INET6, group_of_ipv6.c_str(), &ipv6.ipv6mr_multiaddr);
    ipv6.ipv6mr_interface = static_cast<unsigned>(interface);
    socket.setsockopt(IPPROTO_IPV6, IPV6_JOIN_GROUP, as_bytes(ipv6));
  }
};

// Answers with the address to which the client sent.
struct Asked : net::DatagramRequestHandler {
  void handle() { reply(context().local_address().to_string()); }
};

struct Answer {
  std::string text;
  std::string from;
};

// Returns the answer that a client at `own` gets when it sends to `destination`.
Answer ask(const std::string& own, const std::string& destination, std::uint16_t port) {
  net::Socket client(net::Address(own, 0).family(), net::SocketType::datagram);
  client.setsockopt(net::SocketOption::broadcast, 1);
  client.settimeout(2s);
  client.bind({own, 0});
  client.sendto(net::bytes("anybody?"), {destination, port});
  std::string text(200, '\0');
  try {
    const auto [size, from] = client.recvfrom(std::as_writable_bytes(std::span(text)));
    text.resize(size);
    return {text, from.to_string()};
  } catch (const net::TimeoutError&) {
    return {"no answer", "nobody"};
  }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_broadcast, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(60) * precondition(OwnNetwork::may_be_made))
BOOST_AUTO_TEST_CASE_TEMPLATE(
    what_went_to_many_over_ipv4_is_answered_from_the_address_of_the_interface, Policy, Policies) {
  const Addressed network;
  Joining hooks;
  for (const std::string bound : {"0.0.0.0", "::"}) {
    auto options = quick();
    options.dualstack = bound == "::";
    net::UdpServer<Asked, Policy> server{net::Address{bound, 0}, options, hooks};
    Running running(server);
    const auto port = server.server_address().port();
    const std::string expected = "10.9.0.1:" + std::to_string(port);
    const std::string mapped = "[::ffff:10.9.0.1]:" + std::to_string(port);
    for (const std::string destination :
         {"10.9.0.1", "10.9.0.255", "255.255.255.255", group.c_str()}) {
      BOOST_TEST_CONTEXT(bound << " asked by " << destination) {
        const Answer answer = ask("10.9.0.1", destination, port);
        BOOST_TEST(answer.from == expected);
        BOOST_TEST(answer.text == (options.dualstack ? mapped : expected));
      }
    }
  }
}

BOOST_TEST_DECORATOR(*timeout(60) * precondition(OwnNetwork::may_be_made))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_went_to_many_over_ipv6_is_answered_from_an_address_of_the_server,
                              Policy, Policies) {
  const Addressed network;
  Joining hooks;
  for (const bool dualstack : {false, true}) {
    auto options = quick();
    options.dualstack = dualstack;
    net::UdpServer<Asked, Policy> server{net::Address{"::", 0}, options, hooks};
    Running running(server);
    const auto port = server.server_address().port();
    for (const std::string& group : {group_of_ipv6, std::string("ff02::1")}) {
      const std::string destination = group + "%" + Addressed::left();
      BOOST_TEST_CONTEXT(destination) {
        const Answer answer = ask("fd00:9::1", destination, port);
        BOOST_TEST(answer.from == "[fd00:9::1]:" + std::to_string(port));
        BOOST_TEST(answer.text == "[::]:" + std::to_string(port));
      }
    }
    const Answer answer = ask("fd00:9::1", "fd00:9::1", port);
    BOOST_TEST(answer.text == "[fd00:9::1]:" + std::to_string(port));
  }
}

BOOST_AUTO_TEST_SUITE_END()
