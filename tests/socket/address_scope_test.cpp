// Interfaces whose names look like numbers, in a network of the test's own.

#include <net/if.h>
#include <netinet/in.h>

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <string>

#include "support/own_network.hpp"

import net.socket;

using boost::unit_test::precondition;
using boost::unit_test::timeout;
using support::OwnNetwork;

namespace {

std::uint32_t scope_of(const net::Address& address) {
  sockaddr_in6 native{};
  std::memcpy(&native, address.native().data(), sizeof native);
  return native.sin6_scope_id;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_interface_is_found_by_its_name_though_it_is_a_number,
                     *timeout(30) * precondition(OwnNetwork::may_be_made)) {
  const OwnNetwork network;
  const auto left = ::if_nametoindex(OwnNetwork::left);
  const auto right = ::if_nametoindex(OwnNetwork::right);
  const std::string name = std::to_string(right);  // the number of the other interface
  support::ip({"link", "set", OwnNetwork::left, "down"});
  support::ip({"link", "set", OwnNetwork::left, "name", name});

  const net::Address address("fe80::1%" + name, 80);
  BOOST_TEST(scope_of(address) == left);
  BOOST_TEST(address.host() == "fe80::1%" + name);
  BOOST_TEST(net::Address::packet(name, 1).interface_name() == name);

  // A number that is no interface's name is still an index.
  const net::Address by_index("fe80::1%" + std::to_string(left), 80);
  BOOST_TEST(scope_of(by_index) == left);
  BOOST_TEST(by_index == address);
}
