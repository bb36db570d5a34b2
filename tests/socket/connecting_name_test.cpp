#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::ConnectError;
using net::Family;
using net::Socket;
using net::SocketType;
using namespace std::chrono_literals;

static_assert(std::is_nothrow_copy_constructible_v<ConnectError>);

namespace {

const Address loopback("127.0.0.1", 0);

// Returns a port on which no process listens while the socket is open.
std::pair<Socket, std::uint16_t> refusing() {
  Socket bound(Family::ipv4);
  bound.bind(loopback);
  const auto port = bound.getsockname().port();
  return {std::move(bound), port};
}

template <class Call>
ConnectError failure_of(Call&& call) {
  try {
    call();
  } catch (const ConnectError& error) {
    return error;
  }
  BOOST_FAIL("no ConnectError");
  throw;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_error_of_each_address_is_kept, *timeout(10)) {
  const auto [owner, port] = refusing();
  const auto addresses = net::resolve("", port);
  const auto error = failure_of([to = port] { net::create_connection("", to); });
  BOOST_REQUIRE(error.errors().size() == addresses.size());
  BOOST_TEST(error.code() == error.errors().back().code());
  const std::string text = error.what();
  for (std::size_t at = 0; at < addresses.size(); ++at) {
    const std::string one = error.errors()[at].what();
    BOOST_TEST(one.find(addresses[at].to_string()) != std::string::npos);
    BOOST_TEST(text.find(one) != std::string::npos);
  }
  BOOST_TEST((error.code() == std::errc::connection_refused));
}

BOOST_AUTO_TEST_CASE(one_address_alone_fails_with_its_own_text, *timeout(10)) {
  const auto [owner, port] = refusing();
  const auto error = failure_of([to = port] { net::create_connection("127.0.0.1", to); });
  BOOST_TEST(error.errors().size() == 1U);
  BOOST_TEST(error.what() == std::string(error.errors()[0].what()));
}

BOOST_AUTO_TEST_CASE(a_connect_error_has_all_texts, *timeout(10)) {
  const auto made = [](std::errc code, const char* what) {
    return std::system_error(std::make_error_code(code), what);
  };
  const auto first = made(std::errc::network_unreachable, "connect to one");
  const auto second = made(std::errc::connection_refused, "connect to two");
  const ConnectError error({first, second});
  BOOST_TEST(error.what() == std::string(first.what()) + "; " + second.what());
  BOOST_TEST((error.code() == std::errc::connection_refused));
  const ConnectError copy(error);
  BOOST_TEST(&copy.errors() == &error.errors());
}

BOOST_AUTO_TEST_CASE(a_name_that_is_not_found_is_no_connect_error, *timeout(10)) {
  try {
    net::create_connection("::not-a-name", 80);
    BOOST_FAIL("no error");
  } catch (const std::system_error& error) {
    BOOST_TEST((error.code().category() == net::resolver_category()));
    BOOST_TEST(dynamic_cast<const ConnectError*>(&error) == nullptr);
  }
}

BOOST_AUTO_TEST_CASE(a_connection_may_come_from_a_chosen_address, *timeout(10)) {
  Socket listener = net::create_server(loopback);
  const auto address = listener.getsockname();
  const auto source = refusing().second;  // free again by now
  const Socket one = net::create_connection(address, 5s, {.source = Address("127.0.0.2", source)});
  BOOST_TEST(one.getsockname() == Address("127.0.0.2", source));
  BOOST_TEST(listener.accept().second == one.getsockname());
  const Socket other =
      net::create_connection("", address.port(), 5s, {.source = Address("127.0.0.3", 0)});
  BOOST_TEST(other.getsockname().host() == "127.0.0.3");
  BOOST_TEST(listener.accept().second == other.getsockname());
}

BOOST_AUTO_TEST_CASE(a_source_that_is_not_ours_is_told, *timeout(10)) {
  Socket listener = net::create_server(loopback);
  const auto port = listener.getsockname().port();
  const auto connect = [port] {
    net::create_connection("127.0.0.1", port, 5s, {.source = Address("198.51.100.1", 0)});
  };
  BOOST_TEST(fails_with(std::errc::address_not_available, connect));
  BOOST_TEST(text_of_failure(connect).find("198.51.100.1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(names_can_be_looked_up_for_datagrams, *timeout(10)) {
  const auto addresses =
      net::resolve("127.0.0.1", 53, {.family = Family::ipv4, .type = SocketType::datagram});
  BOOST_TEST((addresses == std::vector{Address("127.0.0.1", 53)}));
  BOOST_TEST(fails_with(std::errc::address_family_not_supported,
                        [] { net::resolve("", 1, {.family = Family::unix_domain}); }));
}

BOOST_AUTO_TEST_CASE(who_has_both_families_can_have_them_on_one_port, *timeout(10)) {
  if (!net::has_dualstack_ipv6()) {
    BOOST_TEST_MESSAGE("no IPv6 here");
    return;
  }
  Socket dual = net::create_server(Address("::", 0), {.dualstack = true});
  BOOST_TEST(dual.getsockopt(net::SocketOption::ipv6_only) == 0);
  const Socket client = net::create_connection(loopback.with_port(dual.getsockname().port()), 5s);
  BOOST_TEST(dual.accept().second.port() == client.getsockname().port());
}
