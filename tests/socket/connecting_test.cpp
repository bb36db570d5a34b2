#include <net/if.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::precondition;
using boost::unit_test::timeout;
using net::Address;
using net::Socket;
using namespace std::chrono_literals;

namespace {

const Address loopback("127.0.0.1", 0);

boost::test_tools::assertion_result has_ipv6(boost::unit_test::test_unit_id) {
  try {
    Socket(net::Family::ipv6).bind(Address("::1", 0));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

using Addresses = std::vector<Address>;

bool holds(const Addresses& addresses, const Address& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

// Returns a port on which no process listens while the socket is open.
std::pair<Socket, Address> refusing() {
  Socket bound(net::Family::ipv4);
  bound.bind(loopback);
  auto address = bound.getsockname();
  return {std::move(bound), address};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_numeric_name_is_its_own_address, *timeout(10)) {
  BOOST_TEST((net::resolve("192.0.2.1", 80) == Addresses{Address("192.0.2.1", 80)}));
  BOOST_TEST((net::resolve("2001:db8::1", 443) == Addresses{Address("2001:db8::1", 443)}));
  BOOST_TEST((net::resolve("::1", 65535) == Addresses{Address("::1", 65535)}));
}

BOOST_AUTO_TEST_CASE(an_ipv6_literal_may_stand_in_brackets, *timeout(10)) {
  BOOST_TEST((net::resolve("[2001:db8::1]", 80) == Addresses{Address("2001:db8::1", 80)}));
  BOOST_TEST((net::resolve("[fe80::1%lo]", 80) == Addresses{Address("fe80::1%lo", 80)}));
}

BOOST_AUTO_TEST_CASE(localhost_is_the_loopback, *timeout(10)) {
  const auto addresses = net::resolve("localhost", 80, {.family = net::Family::ipv4});
  BOOST_TEST((addresses == Addresses{Address("127.0.0.1", 80)}));
}

BOOST_AUTO_TEST_CASE(an_empty_host_is_the_loopback_or_the_wildcard, *timeout(10)) {
  const auto loopbacks = net::resolve("", 80);
  BOOST_TEST(holds(loopbacks, Address("127.0.0.1", 80)));
  BOOST_TEST(holds(loopbacks, Address("::1", 80)));
  const auto wildcards = net::resolve("", 80, {.passive = true});
  BOOST_TEST(holds(wildcards, Address("0.0.0.0", 80)));
  BOOST_TEST(holds(wildcards, Address("::", 80)));
}

BOOST_AUTO_TEST_CASE(one_family_may_be_asked_for, *timeout(10)) {
  BOOST_TEST(
      (net::resolve("", 80, {.family = net::Family::ipv4}) == Addresses{Address("127.0.0.1", 80)}));
  BOOST_TEST(
      (net::resolve("", 80, {.family = net::Family::ipv6}) == Addresses{Address("::1", 80)}));
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_an_error_of_the_resolver, *timeout(10)) {
  const auto look_up = [] { net::resolve("::not-a-name", 80); };
  BOOST_TEST(fails_with(std::errc::no_such_device_or_address, look_up));
  BOOST_TEST(text_of_failure(look_up).find("::not-a-name") != std::string::npos);
  try {
    look_up();
  } catch (const std::system_error& error) {
    BOOST_TEST((error.code().category() == net::resolver_category()));
    BOOST_TEST(error.code().value() == EAI_NONAME);
  }
}

BOOST_AUTO_TEST_CASE(a_literal_of_the_other_family_is_not_supported, *timeout(10)) {
  BOOST_TEST(fails_with(std::errc::address_family_not_supported,
                        [] { net::resolve("::1", 80, {.family = net::Family::ipv4}); }));
}

BOOST_AUTO_TEST_CASE(a_name_does_not_end_at_a_nul, *timeout(10)) {
  using std::string_view_literals::operator""sv;
  const auto look_up = [] { net::resolve("127.0.0.1\0.example"sv, 80); };
  BOOST_TEST(fails_with(std::errc::invalid_argument, look_up));
}

BOOST_AUTO_TEST_CASE(each_error_of_the_resolver_maps_to_an_errc, *timeout(10)) {
  const std::array<std::pair<int, std::errc>, 10> map{{
      {EAI_NONAME, std::errc::no_such_device_or_address},
      {EAI_AGAIN, std::errc::resource_unavailable_try_again},
      {EAI_MEMORY, std::errc::not_enough_memory},
      {EAI_FAMILY, std::errc::address_family_not_supported},
      {EAI_SERVICE, std::errc::invalid_argument},
      {EAI_BADFLAGS, std::errc::invalid_argument},
      {EAI_SOCKTYPE, std::errc::invalid_argument},
      {EAI_OVERFLOW, std::errc::value_too_large},
      {EAI_FAIL, std::errc::io_error},
      {12345, std::errc::io_error},
  }};
  for (const auto& [code, expected] : map) {
    BOOST_TEST((std::error_code(code, net::resolver_category()) == expected));
  }
  const std::error_code unknown(EAI_NONAME, net::resolver_category());
  BOOST_TEST(unknown.message() == ::gai_strerror(EAI_NONAME));
  BOOST_TEST(unknown.category().name() == std::string_view("resolver"));
}

BOOST_AUTO_TEST_CASE(a_time_out_of_the_kernel_is_a_timeout_error, *timeout(10)) {
  BOOST_CHECK_EXCEPTION(net::throw_system_error(ETIMEDOUT, "a call"), net::TimeoutError,
                        [](const auto& error) { return error.code() == std::errc::timed_out; });
  const auto other = [] { net::throw_system_error(EPIPE, "send to somebody"); };
  BOOST_TEST(fails_with(std::errc::broken_pipe, other));
  BOOST_TEST(text_of_failure(other).find("send to somebody") == 0U);
}

BOOST_AUTO_TEST_CASE(a_server_reuses_its_address_but_shares_no_port, *timeout(10)) {
  const Socket listener = net::create_server(loopback);
  const auto address = listener.getsockname();
  BOOST_TEST(address.host() == "127.0.0.1");
  BOOST_TEST(address.port() != 0);
  BOOST_TEST(listener.getsockopt(net::SocketOption::reuse_address) == 1);
  BOOST_TEST(listener.getsockopt(net::SocketOption::reuse_port) == 0);
  const auto again = [&] { net::create_server(address); };
  BOOST_TEST(fails_with(std::errc::address_in_use, again));
  BOOST_TEST(text_of_failure(again).find(address.to_string()) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(servers_share_a_port_if_told_to, *timeout(10)) {
  const Socket first = net::create_server(loopback, {.reuse_port = true});
  const auto address = first.getsockname();
  const Socket second = net::create_server(address, {.reuse_port = true});
  BOOST_TEST(second.getsockname() == address);
}

BOOST_AUTO_TEST_CASE(an_ipv6_server_takes_ipv4_clients_only_if_told_to,
                     *timeout(10) * precondition(has_ipv6)) {
  const Address wildcard("::", 0);
  const Socket strict = net::create_server(wildcard);
  const auto mapped = loopback.with_port(strict.getsockname().port());
  BOOST_TEST(fails_with(std::errc::connection_refused, [&] { net::create_connection(mapped); }));
  BOOST_TEST(fails_with(std::errc::invalid_argument,
                        [&] { net::create_server(loopback, {.dualstack = true}); }));
  Socket dual = net::create_server(wildcard, {.dualstack = true});
  const auto port = dual.getsockname().port();
  const Socket client = net::create_connection(loopback.with_port(port));
  BOOST_TEST(dual.accept().second.host() == "::ffff:127.0.0.1");
  const Socket other = net::create_connection(Address("::1", port));
  BOOST_TEST(dual.accept().second == other.getsockname());
}

BOOST_AUTO_TEST_CASE(a_refused_connection_names_the_address, *timeout(10)) {
  const auto [owner, address] = refusing();
  const auto connect = [&to = address] { net::create_connection(to); };
  BOOST_TEST(fails_with(std::errc::connection_refused, connect));
  BOOST_TEST(text_of_failure(connect).find("connect to " + address.to_string()) == 0U);
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_not_answered_times_out, *timeout(10)) {
  // When the queue is full, the kernel drops further attempts to connect.
  const Socket listener = net::create_server(loopback, {.backlog = 1});
  const auto address = listener.getsockname();
  const std::array queued{net::create_connection(address, 5s), net::create_connection(address, 5s)};
  BOOST_CHECK_THROW(net::create_connection(address, 20ms), net::TimeoutError);
  BOOST_CHECK_THROW(net::create_connection("127.0.0.1", address.port(), 20ms), net::TimeoutError);
  Socket socket(net::Family::ipv4);
  socket.settimeout(20ms);
  BOOST_CHECK_THROW(socket.connect(address), net::TimeoutError);
  Socket impatient(net::Family::ipv4);
  impatient.settimeout(0ms);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { impatient.connect(address); }));
}

BOOST_AUTO_TEST_CASE(the_addresses_of_a_name_are_tried_in_order, *timeout(10)) {
  // The empty name has two addresses, and only the second one listens.
  Socket listener = net::create_server(loopback);
  const Socket client = net::create_connection("", listener.getsockname().port(), 5s);
  BOOST_TEST(client.getpeername() == listener.getsockname());
}

BOOST_AUTO_TEST_CASE(the_last_error_is_thrown_if_no_address_answers, *timeout(10)) {
  const auto [owner, address] = refusing();
  const auto port = address.port();
  const auto connect = [port] { net::create_connection("", port); };
  BOOST_TEST(fails_with(std::errc::connection_refused, connect));
  const auto last = net::resolve("", port).back();
  BOOST_TEST(text_of_failure(connect).find(last.to_string()) != std::string::npos);
}
