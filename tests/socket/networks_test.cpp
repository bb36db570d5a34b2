// Sets of networks.

#include <boost/test/unit_test.hpp>
#include <string>
#include <system_error>

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::Networks;

BOOST_AUTO_TEST_CASE(a_set_has_the_addresses_of_its_networks, *timeout(10)) {
  const Networks networks("10.0.0.0/8, 192.0.2.7,2001:db8::/33 , ::1");
  for (const auto* host : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8::1",
                           "2001:db8:7fff:ffff::", "::1", "::ffff:10.1.2.3", "2001:db8::1%1"}) {
    BOOST_TEST(networks.contains(Address(host, 80)), host);
  }
  for (const auto* host : {"9.255.255.255", "11.0.0.0", "192.0.2.6", "2001:db8:8000::", "::2",
                           "::ffff:11.0.0.0", "a00::"}) {
    BOOST_TEST(!networks.contains(Address(host, 80)), host);
  }
  BOOST_TEST(!networks.contains(Address()));
  BOOST_TEST(!networks.contains(Address::unix_path("/10.0.0.1")));
}

BOOST_AUTO_TEST_CASE(a_prefix_of_no_bits_is_everybody_of_its_family, *timeout(10)) {
  const Networks networks("0.0.0.0/0");
  BOOST_TEST(networks.contains(Address("255.0.0.1", 0)));
  BOOST_TEST(!networks.contains(Address("::1", 0)));
  BOOST_TEST(Networks("::/0").contains(Address("ffff::1", 0)));
  BOOST_TEST(!Networks("::/0").contains(Address("127.0.0.1", 0)));
}

BOOST_AUTO_TEST_CASE(the_empty_set_has_nobody, *timeout(10)) {
  BOOST_TEST(Networks().empty());
  BOOST_TEST(Networks("").empty());
  BOOST_TEST(!Networks().contains(Address("127.0.0.1", 1)));
  BOOST_TEST(Networks().to_string().empty());
}

BOOST_AUTO_TEST_CASE(copies_hold_the_same, *timeout(10)) {
  Networks networks("10.0.0.0/8");
  const Networks copy = networks;
  networks = Networks("::1/128, 0.0.0.0/0");
  BOOST_TEST(copy.to_string() == "10.0.0.0/8");
  BOOST_TEST(networks.to_string() == "::1/128, 0.0.0.0/0");
}

BOOST_AUTO_TEST_CASE(what_is_no_network_is_refused_by_its_text, *timeout(10)) {
  for (const std::string text :
       {"10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1",
        "10.0.0.0/8 x", "10.0.0.0/ 8", "localhost", "/8", "10.0.0.0//8", "fe80::%1/64", ",",
        "10.0.0.0/8,,::1", "::ffff:10.0.0.0/104", "10.0.0/8", "2001:db8::1/64"}) {
    BOOST_CHECK_EXCEPTION(Networks{text}, std::system_error, [&](const std::system_error& error) {
      return error.code() == std::errc::invalid_argument &&
             std::string(error.what()).find("is no network: ") != std::string::npos;
    });
  }
}

BOOST_AUTO_TEST_CASE(an_address_is_in_its_network, *timeout(10)) {
  BOOST_TEST(net::network_of(Address("192.0.2.77", 80), 24, 64) == Address("192.0.2.0", 0));
  BOOST_TEST(net::network_of(Address("192.0.2.77", 80), 32, 64) == Address("192.0.2.77", 0));
  BOOST_TEST(net::network_of(Address("192.0.2.77", 80), 0, 64) == Address("0.0.0.0", 0));
  BOOST_TEST(net::network_of(Address("::ffff:192.0.2.77", 80), 24, 64) == Address("192.0.2.0", 0));
  BOOST_TEST(net::network_of(Address("2001:db8:1:2:3::4%1", 80), 24, 64) ==
             Address("2001:db8:1:2::", 0));
  BOOST_TEST(net::network_of(Address("2001:db8:1:2:3::4", 80), 24, 45) == Address("2001:db8::", 0));
  const Address local = Address::unix_path("/x");
  BOOST_TEST(net::network_of(local, 24, 64) == local);
}
