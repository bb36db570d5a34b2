#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;

namespace {

sockaddr_un unix_name(std::string_view path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::ranges::copy(path, name.sun_path);
  return name;
}

net::Address from_family(std::uint16_t family, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::ranges::copy(std::as_bytes(std::span(&family, 1)).first(std::min<std::size_t>(size, 2)),
                    bytes.begin());
  return net::Address::from_native(bytes);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_unspecified_address_equals_only_itself, *timeout(10)) {
  const net::Address none;
  BOOST_TEST(none == net::Address());
  BOOST_TEST(none != net::Address("0.0.0.0", 0));
  BOOST_TEST((none.family() == net::Family::unspecified));
  BOOST_TEST(none.host() == "");
  BOOST_TEST(none.port() == 0);
  BOOST_TEST(none.to_string() == "unspecified");
  BOOST_TEST(none.native().empty());
}

BOOST_AUTO_TEST_CASE(an_ipv4_address_keeps_its_host_and_port, *timeout(10)) {
  const net::Address address("192.0.2.7", 65535);
  BOOST_TEST((address.family() == net::Family::ipv4));
  BOOST_TEST(address.host() == "192.0.2.7");
  BOOST_TEST(address.port() == 65535);
  BOOST_TEST(address.to_string() == "192.0.2.7:65535");
}

BOOST_AUTO_TEST_CASE(an_empty_host_is_the_ipv4_wildcard, *timeout(10)) {
  BOOST_TEST(net::Address("", 80) == net::Address("0.0.0.0", 80));
}

BOOST_AUTO_TEST_CASE(an_ipv6_address_is_written_in_brackets_and_shortest, *timeout(10)) {
  const net::Address address("2001:DB8:0:0::1", 80);
  BOOST_TEST((address.family() == net::Family::ipv6));
  BOOST_TEST(address.host() == "2001:db8::1");
  BOOST_TEST(address.to_string() == "[2001:db8::1]:80");
  BOOST_TEST(address == net::Address("2001:db8::1", 80));
}

BOOST_AUTO_TEST_CASE(a_scope_may_be_a_name_or_a_number, *timeout(10)) {
  const auto index = std::to_string(::if_nametoindex("lo"));
  const net::Address named("fe80::1%lo", 80);
  BOOST_TEST(named == net::Address("fe80::1%" + index, 80));
  BOOST_TEST(named != net::Address("fe80::1", 80));
  BOOST_TEST(named.host() == "fe80::1%lo");
  BOOST_TEST(named.to_string() == "[fe80::1%lo]:80");
}

BOOST_AUTO_TEST_CASE(a_scope_of_no_interface_keeps_its_number, *timeout(10)) {
  BOOST_TEST(net::Address("fe80::1%4000000000", 80).host() == "fe80::1%4000000000");
}

BOOST_AUTO_TEST_CASE(a_host_that_is_not_numeric_is_an_invalid_argument, *timeout(10)) {
  using std::string_view_literals::operator""sv;
  for (const auto host :
       {"localhost"sv, "1.2.3"sv, "256.0.0.1"sv, " 127.0.0.1"sv, "127.0.0.1 "sv, "[::1]"sv, ":"sv,
        "127.0.0.1%lo"sv, "fe80::1%"sv, "fe80::1%no-such-if"sv, "fe80::1%4294967296"sv,
        "fe80::1%1x"sv, "127.0.0.1\0"sv, "127.0.0.1\0.example"sv, "::1\0"sv, "\0"sv}) {
    BOOST_TEST_CONTEXT(host) {
      BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { net::Address(host, 1); }));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_error_names_the_host, *timeout(10)) {
  const auto text = text_of_failure([] { net::Address("localhost", 1); });
  BOOST_TEST(text.find("localhost") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_native_bytes_are_a_sockaddr, *timeout(10)) {
  sockaddr_in expected{};
  expected.sin_family = AF_INET;
  expected.sin_port = htons(8080);
  expected.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto bytes = std::as_bytes(std::span(&expected, 1));
  BOOST_TEST(std::ranges::equal(net::Address("127.0.0.1", 8080).native(), bytes));
  BOOST_TEST(net::Address::from_native(bytes) == net::Address("127.0.0.1", 8080));
}

BOOST_AUTO_TEST_CASE(an_ipv6_address_survives_its_native_form, *timeout(10)) {
  const net::Address address("fe80::1%lo", 443);
  BOOST_TEST(address.native().size() == sizeof(sockaddr_in6));
  BOOST_TEST(net::Address::from_native(address.native()) == address);
}

BOOST_AUTO_TEST_CASE(native_bytes_of_a_wrong_size_are_an_invalid_argument, *timeout(10)) {
  for (const auto size : {sizeof(sockaddr_in) - 1, sizeof(sockaddr_in) + 1, std::size_t{2}}) {
    BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { from_family(AF_INET, size); }));
  }
  for (const auto size : {sizeof(sockaddr_in6) - 4, sizeof(sockaddr_in6) + 1}) {
    BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { from_family(AF_INET6, size); }));
  }
  BOOST_TEST(fails_with(std::errc::invalid_argument, [] { from_family(AF_UNIX, 200); }));
}

BOOST_AUTO_TEST_CASE(native_bytes_of_another_family_are_not_supported, *timeout(10)) {
  for (const auto size : {std::size_t{1}, std::size_t{16}}) {
    BOOST_TEST(fails_with(std::errc::address_family_not_supported,
                          [&] { from_family(AF_BLUETOOTH, size); }));
  }
}

BOOST_AUTO_TEST_CASE(a_unix_address_has_neither_host_nor_port, *timeout(10)) {
  const auto name = unix_name("/run/a-server");
  const auto bytes = std::as_bytes(std::span(&name, 1));
  const auto address = net::Address::from_native(bytes);
  BOOST_TEST((address.family() == net::Family::unix_domain));
  BOOST_TEST(address.host() == "");
  BOOST_TEST(address.port() == 0);
  // The bytes after the NUL of the path are left out.
  BOOST_TEST(std::ranges::equal(address.native(), bytes.first(2 + 14)));
}

BOOST_AUTO_TEST_CASE(abstract_unix_addresses_differ_by_their_length, *timeout(10)) {
  const auto name = unix_name(std::string_view("\0name\0\0", 7));
  const auto bytes = std::as_bytes(std::span(&name, 1));
  BOOST_TEST(net::Address::from_native(bytes.first(8)) ==
             net::Address::from_native(bytes.first(8)));
  BOOST_TEST(net::Address::from_native(bytes.first(8)) !=
             net::Address::from_native(bytes.first(9)));
}

// The kernel ends the name with a NUL for which sockaddr_un has no space: unix(7), BUGS.
BOOST_AUTO_TEST_CASE(a_unix_socket_with_the_longest_path_can_be_named, *timeout(10)) {
  std::string path = "/tmp/netserve-" + std::to_string(::getpid()) + '-';
  path.resize(sizeof sockaddr_un::sun_path, 'x');
  const auto name = unix_name(path);
  net::Socket socket(net::Family::unix_domain);
  socket.bind(net::Address::from_native(std::as_bytes(std::span(&name, 1))));
  BOOST_CHECK_NO_THROW(socket.getsockname());
  ::unlink(path.c_str());
}

BOOST_AUTO_TEST_CASE(another_port_changes_nothing_else, *timeout(10)) {
  BOOST_TEST(net::Address("127.0.0.1", 1).with_port(2) == net::Address("127.0.0.1", 2));
  BOOST_TEST(net::Address("fe80::1%lo", 1).with_port(2) == net::Address("fe80::1%lo", 2));
}

BOOST_AUTO_TEST_CASE(addresses_differ_by_host_port_and_family, *timeout(10)) {
  const net::Address address("127.0.0.1", 80);
  BOOST_TEST(address != net::Address("127.0.0.2", 80));
  BOOST_TEST(address != net::Address("127.0.0.1", 81));
  BOOST_TEST(address != net::Address("::ffff:127.0.0.1", 80));
}

BOOST_AUTO_TEST_CASE(an_address_prints_itself, *timeout(10)) {
  std::ostringstream out;
  out << net::Address("::1", 80) << ' ' << net::Address();
  BOOST_TEST(out.str() == "[::1]:80 unspecified");
}
