#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <span>
#include <system_error>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Socket;
using net::SocketOption;

namespace {

int raw(const Socket& socket, int level, int number) {
  int value = -1;
  socklen_t size = sizeof value;
  BOOST_REQUIRE(::getsockopt(socket.fileno(), level, number, &value, &size) == 0);
  return value;
}

struct Flag {
  SocketOption option;
  int level;
  int number;
};

constexpr std::array flags{
    Flag{SocketOption::reuse_address, SOL_SOCKET, SO_REUSEADDR},
    Flag{SocketOption::reuse_port, SOL_SOCKET, SO_REUSEPORT},
    Flag{SocketOption::keep_alive, SOL_SOCKET, SO_KEEPALIVE},
    Flag{SocketOption::no_delay, IPPROTO_TCP, TCP_NODELAY},
};

}  // namespace

BOOST_AUTO_TEST_CASE(flags_are_off_until_set_and_can_be_cleared, *timeout(10)) {
  for (const auto [option, level, number] : flags) {
    Socket socket(net::Family::ipv4);
    BOOST_TEST(socket.getsockopt(option) == 0);
    socket.setsockopt(option, 1);
    BOOST_TEST(socket.getsockopt(option) == 1);
    BOOST_TEST(raw(socket, level, number) == 1);
    socket.setsockopt(option, 0);
    BOOST_TEST(socket.getsockopt(option) == 0);
  }
}

BOOST_AUTO_TEST_CASE(the_kernel_doubles_the_buffers, *timeout(10)) {
  Socket socket(net::Family::ipv4);
  socket.setsockopt(SocketOption::receive_buffer, 20'000);
  socket.setsockopt(SocketOption::send_buffer, 30'000);
  BOOST_TEST(socket.getsockopt(SocketOption::receive_buffer) == 40'000);
  BOOST_TEST(socket.getsockopt(SocketOption::send_buffer) == 60'000);
  BOOST_TEST(raw(socket, SOL_SOCKET, SO_RCVBUF) == 40'000);
  BOOST_TEST(raw(socket, SOL_SOCKET, SO_SNDBUF) == 60'000);
}

BOOST_AUTO_TEST_CASE(numbers_of_tcp_are_kept, *timeout(10)) {
  Socket socket(net::Family::ipv4);
  socket.setsockopt(SocketOption::user_timeout, 1234);
  BOOST_TEST(socket.getsockopt(SocketOption::user_timeout) == 1234);
  BOOST_TEST(raw(socket, IPPROTO_TCP, TCP_USER_TIMEOUT) == 1234);
  socket.setsockopt(SocketOption::defer_accept, 1);
  BOOST_TEST(socket.getsockopt(SocketOption::defer_accept) == 1);
  BOOST_TEST(raw(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 1);
}

BOOST_AUTO_TEST_CASE(an_ipv6_socket_can_be_kept_from_ipv4, *timeout(10)) {
  Socket socket(net::Family::ipv6);
  for (const int value : {1, 0}) {
    socket.setsockopt(SocketOption::ipv6_only, value);
    BOOST_TEST(socket.getsockopt(SocketOption::ipv6_only) == value);
    BOOST_TEST(raw(socket, IPPROTO_IPV6, IPV6_V6ONLY) == value);
  }
}

BOOST_AUTO_TEST_CASE(options_can_be_given_by_number, *timeout(10)) {
  Socket socket(net::Family::ipv4);
  const linger wanted{1, 7};
  socket.setsockopt(SOL_SOCKET, SO_LINGER, std::as_bytes(std::span(&wanted, 1)));
  linger stored{};
  const auto bytes = std::as_writable_bytes(std::span(&stored, 1));
  BOOST_TEST(socket.getsockopt(SOL_SOCKET, SO_LINGER, bytes) == sizeof stored);
  BOOST_TEST(stored.l_onoff == 1);
  BOOST_TEST(stored.l_linger == 7);
  BOOST_TEST(socket.getsockopt(SOL_SOCKET, SO_LINGER, bytes.first(4)) == 4U);
}

BOOST_AUTO_TEST_CASE(an_option_of_another_protocol_is_refused, *timeout(10)) {
  Socket socket(net::Family::unix_domain);
  BOOST_TEST(fails_with(std::errc::operation_not_supported,
                        [&] { socket.setsockopt(SocketOption::no_delay, 1); }));
  BOOST_TEST(fails_with(std::errc::operation_not_supported,
                        [&] { socket.getsockopt(SocketOption::no_delay); }));
  std::array<std::byte, 4> value{};
  BOOST_TEST(fails_with(std::errc::no_protocol_option,
                        [&] { socket.getsockopt(SOL_SOCKET, 9999, value); }));
}
