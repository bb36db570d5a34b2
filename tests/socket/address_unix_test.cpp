#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "support/fails_with.hpp"
#include "support/temporary_directory.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::Family;
using net::Socket;

namespace {

Address bound(const Address& address) {
  Socket socket(Family::unix_domain);
  socket.bind(address);
  return socket.getsockname();
}

std::string bytes_from(std::size_t from, std::size_t size) {
  std::string bytes;
  for (std::size_t at = 0; at < size; ++at) bytes += static_cast<char>((from + at) % 256);
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_path_is_kept_as_it_is, *timeout(10)) {
  const auto address = Address::unix_path("/run/x.sock");
  BOOST_TEST((address.family() == Family::unix_domain));
  BOOST_TEST(address.path() == "/run/x.sock");
  BOOST_TEST(address.abstract_name() == "");
  BOOST_TEST(!address.unnamed());
  BOOST_TEST(address.host() == "");
  BOOST_TEST(address.port() == 0);
  BOOST_TEST(address.to_string() == "unix:/run/x.sock");
  BOOST_TEST(address == Address::unix_path("/run/x.sock"));
  BOOST_TEST(address != Address::unix_path("/run/y.sock"));
  BOOST_TEST(Address::unix_path("relative").path() == "relative");
}

BOOST_AUTO_TEST_CASE(a_bound_path_is_what_getsockname_returns, *timeout(10)) {
  const TemporaryDirectory directory;
  for (const auto* file : {"x", "caf\xc3\xa9", "\xff\xfe not text", "with space"}) {
    const auto address = Address::unix_path(directory.path(file));
    BOOST_TEST(bound(address) == address);
    BOOST_TEST(bound(Address::unix_path(directory.path(std::string(file) + '2'))).path() ==
               directory.path(file) + '2');
  }
}

BOOST_AUTO_TEST_CASE(a_path_may_have_108_bytes_and_no_more, *timeout(10)) {
  const TemporaryDirectory directory;
  for (const std::size_t size : {106U, 107U, 108U}) {
    std::string path = directory.path("");
    path.resize(size, 'x');
    const auto address = Address::unix_path(path);
    BOOST_TEST(address.path() == path);
    BOOST_TEST(bound(address) == address);
  }
  for (const std::size_t size : {109U, 200U, 5000U}) {
    BOOST_TEST(fails_with(std::errc::filename_too_long,
                          [&] { Address::unix_path(std::string(size, 'x')); }));
  }
}

BOOST_AUTO_TEST_CASE(an_empty_path_or_one_with_a_nul_is_invalid, *timeout(10)) {
  using std::string_view_literals::operator""sv;
  for (const auto path : {""sv, "\0"sv, "\0abstract"sv, "/run/x\0y"sv, "/run/x\0"sv}) {
    BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { Address::unix_path(path); }));
  }
}

BOOST_AUTO_TEST_CASE(bytes_behind_a_path_mean_nothing, *timeout(10)) {
  sockaddr_un native{};
  native.sun_family = AF_UNIX;
  std::string_view("/run/x\0garbage", 14).copy(native.sun_path, 14);
  const auto bytes = std::as_bytes(std::span(&native, 1));
  for (const std::size_t size : {std::size_t{8}, std::size_t{9}, std::size_t{15}, bytes.size()}) {
    BOOST_TEST(Address::from_native(bytes.first(size)) == Address::unix_path("/run/x"));
  }
}

BOOST_AUTO_TEST_CASE(an_abstract_name_may_have_any_bytes, *timeout(10)) {
  const auto own = "netserve-" + std::to_string(::getpid());
  for (const auto& name : {own, own + '\0', '\0' + own, own + std::string(3, '\0') + "x",
                           bytes_from(0, 107), bytes_from(107, 107), bytes_from(214, 107)}) {
    const auto address = Address::unix_abstract(name);
    BOOST_TEST((address.abstract_name() == name));
    BOOST_TEST(address.path() == "");
    BOOST_TEST(!address.unnamed());
    BOOST_TEST(bound(address) == address);
  }
  BOOST_TEST(Address::unix_abstract("a") != Address::unix_path("a"));
  BOOST_TEST(Address::unix_abstract("a") != Address::unix_abstract(std::string_view("a\0", 2)));
}

BOOST_AUTO_TEST_CASE(an_abstract_name_of_108_bytes_is_too_long, *timeout(10)) {
  BOOST_TEST(Address::unix_abstract(std::string(107, 'x')).abstract_name().size() == 107U);
  BOOST_TEST(fails_with(std::errc::filename_too_long,
                        [] { Address::unix_abstract(std::string(108, 'x')); }));
}

BOOST_AUTO_TEST_CASE(who_binds_without_a_name_gets_one_that_nobody_has, *timeout(10)) {
  const auto unnamed = Address::unix_unnamed();
  BOOST_TEST(unnamed.unnamed());
  BOOST_TEST(unnamed.path() == "");
  BOOST_TEST(unnamed.abstract_name() == "");
  BOOST_TEST(unnamed.to_string() == "unix:unnamed");
  Socket first(Family::unix_domain);
  BOOST_TEST(first.getsockname() == unnamed);
  first.bind(unnamed);
  const auto name = first.getsockname();
  BOOST_TEST(!name.unnamed());
  BOOST_TEST(name.abstract_name().size() == 5U);
  BOOST_TEST(bound(unnamed) != name);
}

BOOST_AUTO_TEST_CASE(bytes_that_cannot_be_printed_are_numbers, *timeout(10)) {
  BOOST_TEST(Address::unix_abstract("name").to_string() == "unix:@name");
  BOOST_TEST(Address::unix_abstract(std::string_view("\0a\n\xff~", 5)).to_string() ==
             "unix:@\\x00a\\x0a\\xff~");
  BOOST_TEST(Address::unix_path("/run/\x1b[0m").to_string() == "unix:/run/\\x1b[0m");
  BOOST_TEST(Address::unix_abstract("").to_string() == "unix:@");
}

BOOST_AUTO_TEST_CASE(other_families_have_no_path_and_no_name, *timeout(10)) {
  for (const auto& address : {Address("127.0.0.1", 1), Address("::1", 1), Address()}) {
    BOOST_TEST(address.path() == "");
    BOOST_TEST(address.abstract_name() == "");
    BOOST_TEST(!address.unnamed());
  }
}

BOOST_AUTO_TEST_CASE(the_wildcards_stand_for_every_address, *timeout(10)) {
  BOOST_TEST(Address("0.0.0.0", 80).is_wildcard());
  BOOST_TEST(Address("", 0).is_wildcard());
  BOOST_TEST(Address("::", 80).is_wildcard());
  for (const auto& address : {Address("127.0.0.1", 80), Address("0.0.0.1", 0), Address("::1", 80),
                              Address("::ffff:0.0.0.0", 80), Address(), Address::unix_unnamed()}) {
    BOOST_TEST(!address.is_wildcard());
  }
}

BOOST_AUTO_TEST_CASE(addresses_stay_small, *timeout(10)) { BOOST_TEST(sizeof(Address) <= 120U); }
