// How headers of the PROXY protocol are read. No test can import this function, so this file is a
// part of its module.

module;

#include <boost/test/unit_test.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/proxy_headers.hpp"

module net.server:proxy_header_test;

import net.socket;
import :proxy_header;

using boost::unit_test::timeout;
using net::Address;
using net::ProxyHeader;
using namespace std::string_literals;
using namespace support;

namespace {

ProxyHeader read(std::string_view bytes) {
  return net::read_proxy_header(std::as_bytes(std::span(bytes)));
}

// The header is whole, whatever follows it, and each beginning of it is partial.
void check_whole(const std::string& header, const Address& client) {
  BOOST_TEST_CONTEXT(header.substr(0, 107)) {
    for (const std::string behind : {"", "GET / HTTP/1.1\r\n\r\n", "PROXY "}) {
      const ProxyHeader found = read(header + behind);
      BOOST_TEST((found.state == ProxyHeader::State::whole), found.fault);
      BOOST_TEST(found.size == header.size());
      BOOST_TEST(found.client == client);
    }
    for (std::size_t size = 0; size < header.size(); ++size) {
      BOOST_TEST((read(header.substr(0, size)).state == ProxyHeader::State::partial));
    }
  }
}

void check_wrong(const std::string& header, std::string_view fault) {
  BOOST_TEST_CONTEXT(header.substr(0, 107)) {
    const ProxyHeader found = read(header);
    BOOST_TEST((found.state == ProxyHeader::State::wrong));
    BOOST_TEST(found.fault == fault);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_line_names_its_client, *timeout(10)) {
  check_whole("PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\r\n", Address("192.0.2.1", 56324));
  check_whole("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", Address("2001:db8::1", 65535));
  check_whole("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
              Address("255.255.255.255", 65535));
}

BOOST_AUTO_TEST_CASE(a_line_may_know_no_client, *timeout(10)) {
  check_whole("PROXY UNKNOWN\r\n", Address());
  const std::string longest =
      "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  BOOST_TEST(longest.size() == 107U);
  check_whole(longest, Address());
}

BOOST_AUTO_TEST_CASE(a_line_that_is_not_as_it_is_specified_is_wrong, *timeout(10)) {
  constexpr auto malformed = "its line is malformed";
  for (const std::string words :
       {"TCP4 192.0.2.1 203.0.113.7 56324", "TCP4 192.0.2.1 203.0.113.7 56324 443 1",
        "TCP4 192.0.2.1 203.0.113.7 56324 443 ", "TCP4  192.0.2.1 203.0.113.7 56324 443",
        "TCP4 192.0.2.1 203.0.113.7 56324  443", "TCP4 192.0.2.1 203.0.113.7 65536 443",
        "TCP4 192.0.2.1 203.0.113.7 -1 443", "TCP4 192.0.2.1 203.0.113.7 +1 443",
        "TCP4 192.0.2.1 203.0.113.7 01 443", "TCP4 192.0.2.1 203.0.113.7 1 443x",
        "TCP4 192.0.2.1 203.0.113.7  443", "TCP4 192.0.2.1 203.0.113.7 1\t443", "TCP4",
        "UNKNOWN\nGET / HTTP/1.1", "TCP4 192.0.2.1 203.0.113.7 1 443\n"}) {
    check_wrong("PROXY " + words + "\r\n", malformed);
  }
  for (const std::string words :
       {"TCP4 192.0.2.256 203.0.113.7 1 443", "TCP4 ::1 203.0.113.7 1 443",
        "TCP6 192.0.2.1 ::1 1 443", "TCP6 fe80::1%lo ::1 1 443", "TCP4 localhost 203.0.113.7 1 2",
        "TCP4 192.0.2.1  1 443 ", "TCP4 192.0.2 203.0.113.7 1 443"}) {
    BOOST_TEST((read("PROXY " + words + "\r\n").state == ProxyHeader::State::wrong), words);
  }
  for (const std::string words : {"TCP5 a b 1 2", "UDP4 a b 1 2", " TCP4 a b 1 2", "", "unknown"}) {
    check_wrong("PROXY " + words + "\r\n", "its protocol is unknown");
  }
  check_wrong("PROXY UNKNOWN " + std::string(100, 'x') + "\r\n",
              "its line is longer than 107 bytes");
  check_wrong("PROXY " + std::string(101, 'x'), "its line is longer than 107 bytes");
}

BOOST_AUTO_TEST_CASE(something_else_is_wrong_from_its_first_byte_that_differs, *timeout(10)) {
  for (const std::string bytes : {"G", "GET / HTTP/1.1\r\n", "proxy TCP4", "PROXX", "PROXY\t",
                                  "\r\n\r\nX", "\n", "\x16\x03\x01"}) {
    check_wrong(bytes, "it begins with something else");
  }
}

BOOST_AUTO_TEST_CASE(a_binary_header_names_its_client, *timeout(10)) {
  check_whole(ipv4_header("192.0.2.1", 56324), Address("192.0.2.1", 56324));
  check_whole(ipv6_header("2001:db8::1", 1), Address("2001:db8::1", 1));
  check_whole(ipv6_header("::ffff:192.0.2.1", 1), Address("::ffff:192.0.2.1", 1));
  check_whole(unix_header("/run/client.sock"), Address::unix_path("/run/client.sock"));
  check_whole(unix_header(std::string(108, 'p')), Address::unix_path(std::string(108, 'p')));
  check_whole(unix_header("\0client"s), Address::unix_abstract("client"));
  check_whole(unix_header({}), Address::unix_unnamed());
}

BOOST_AUTO_TEST_CASE(a_binary_header_may_name_no_client, *timeout(10)) {
  check_whole(local_header(), Address());
  check_whole(version_2(0x20, 0x11, addresses(AF_INET, "192.0.2.1", 1)), Address());
  // The content of such a header, including its family, is not examined.
  check_whole(version_2(0x20, 0x51, "whatever"), Address());
  check_whole(version_2(0x20, 0x21, "short"), Address());
  check_whole(version_2(0x21, 0x00, {}), Address());
  check_whole(version_2(0x21, 0x00, field(4, "padding")), Address());
  check_whole(version_2(0x21, 0x12, addresses(AF_INET, "192.0.2.1", 1)), Address());
}

BOOST_AUTO_TEST_CASE(fields_behind_the_addresses_are_skipped, *timeout(10)) {
  const std::string tls = field(0x20, "\x01\0\0\0\0"s + field(0x21, "TLSv1.3") + field(0x22, "cn"));
  check_whole(ipv4_header("192.0.2.1", 1, field(1, "h2") + tls + field(4, {}) + field(0xEA, "x")),
              Address("192.0.2.1", 1));
  check_whole(ipv4_header("192.0.2.1", 1, field(4, std::string(4096 - 16 - 12 - 3, 'x'))),
              Address("192.0.2.1", 1));
}

BOOST_AUTO_TEST_CASE(a_checksum_is_verified, *timeout(10)) {
  const Address client("192.0.2.1", 1);
  const std::string header = ipv4_header("192.0.2.1", 1, field(1, "h2"));
  check_whole(with_checksum(header), client);
  check_whole(with_checksum(local_header()), Address());
  check_wrong(with_checksum(header, 1), "its checksum is wrong");
  check_wrong(with_checksum(local_header(), 1), "its checksum is wrong");
  // Each byte that the checksum covers is changed in turn.
  const std::string right = with_checksum(header);
  for (std::size_t at = 16; at < right.size() - 7; ++at) {
    std::string forged = right;
    forged[at] = static_cast<char>(forged[at] ^ 1);
    BOOST_TEST((read(forged).state == ProxyHeader::State::wrong), at);
  }
  check_wrong(ipv4_header("192.0.2.1", 1, field(3, "abc")), "its fields are malformed");
}

BOOST_AUTO_TEST_CASE(a_binary_header_that_is_not_as_it_is_specified_is_wrong, *timeout(10)) {
  const std::string block = addresses(AF_INET, "192.0.2.1", 1);
  check_wrong(version_2(0x11, 0x11, block), "its version is neither 1 nor 2");
  check_wrong(version_2(0x31, 0x11, block), "its version is neither 1 nor 2");
  check_wrong(version_2(0x22, 0x11, block), "its command is neither LOCAL nor PROXY");
  for (const int family : {0x41, 0x51, 0xf1, 0x13, 0x1f}) {
    check_wrong(version_2(0x21, family, block), "its addresses are malformed");
  }
  check_wrong(version_2(0x21, 0x11, block.substr(1)), "its addresses are malformed");
  check_wrong(version_2(0x21, 0x21, block), "its addresses are malformed");
  check_wrong(version_2(0x21, 0x31, std::string(215, 'x')), "its addresses are malformed");
  check_wrong(ipv4_header("192.0.2.1", 1, "x"), "its fields are malformed");
  check_wrong(ipv4_header("192.0.2.1", 1, field(4, "abc") + "\4\0\2a"s),
              "its fields are malformed");
  // The length is known before all of the header has arrived.
  check_wrong(version_2(0x21, 0x11, std::string(4097 - 16, '\0')).substr(0, 16),
              "it is longer than 4096 bytes");
  check_wrong(version_2(0x20, 0x11, std::string(0xffff, '\0')).substr(0, 16),
              "it is longer than 4096 bytes");
}
