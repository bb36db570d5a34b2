#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "support/fails_with.hpp"
#include "support/temporary_directory.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::Family;
using net::Socket;
using net::SocketOption;
using net::SocketType;
using namespace std::chrono_literals;

namespace {

const Address loopback("127.0.0.1", 0);

int raw(const Socket& socket, int level, int number) {
  int value = -1;
  socklen_t size = sizeof value;
  BOOST_REQUIRE(::getsockopt(socket.fileno(), level, number, &value, &size) == 0);
  return value;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_socket_tells_its_family_and_type, *timeout(10)) {
  for (const auto family : {Family::ipv4, Family::unix_domain}) {
    for (const auto type : {SocketType::stream, SocketType::datagram}) {
      const Socket socket(family, type);
      BOOST_TEST((socket.family() == family));
      BOOST_TEST((socket.type() == type));
      BOOST_TEST(!socket.listening());
      const Socket adopted = Socket::adopt(socket.dup().detach());
      BOOST_TEST((adopted.family() == family));
      BOOST_TEST((adopted.type() == type));
    }
  }
  const auto pair = net::socket_pair(SocketType::sequenced_packet);
  BOOST_TEST((pair.first.type() == SocketType::sequenced_packet));
}

BOOST_AUTO_TEST_CASE(a_protocol_can_be_chosen, *timeout(10)) {
  const Socket socket(Family::ipv4, SocketType::stream, IPPROTO_TCP);
  BOOST_TEST(raw(socket, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
  BOOST_TEST(fails_with(std::errc::protocol_not_supported,
                        [] { Socket(Family::ipv4, SocketType::stream, IPPROTO_UDP); }));
}

BOOST_AUTO_TEST_CASE(a_listener_tells_that_it_listens, *timeout(10)) {
  Socket listener = net::create_server(loopback);
  BOOST_TEST(listener.listening());
  const Socket client = net::create_connection(listener.getsockname());
  BOOST_TEST(!client.listening());
  BOOST_TEST(!listener.accept().first.listening());
}

BOOST_AUTO_TEST_CASE(a_closed_socket_tells_nothing, *timeout(10)) {
  Socket closed;
  const auto says_so = [](auto&& call) { return fails_with(std::errc::bad_file_descriptor, call); };
  BOOST_TEST(says_so([&] { static_cast<void>(closed.family()); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.type()); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.listening()); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.inheritable()); }));
  BOOST_TEST(says_so([&] { closed.set_inheritable(true); }));
  BOOST_TEST(says_so([&] { closed.set_linger(1s); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.get_linger()); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.peer_credentials()); }));
}

BOOST_AUTO_TEST_CASE(a_socket_is_inherited_only_if_told_to, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  BOOST_TEST(!left.inheritable());
  left.set_inheritable(true);
  BOOST_TEST(left.inheritable());
  BOOST_TEST(::fcntl(left.fileno(), F_GETFD) == 0);
  BOOST_TEST(!left.dup().inheritable());
  left.set_inheritable(false);
  BOOST_TEST(!left.inheritable());
}

BOOST_AUTO_TEST_CASE(lingering_is_off_until_set, *timeout(10)) {
  Socket socket(Family::ipv4);
  BOOST_TEST((socket.get_linger() == std::nullopt));
  socket.set_linger(7s);
  BOOST_TEST((socket.get_linger() == 7s));
  socket.set_linger(0s);
  BOOST_TEST((socket.get_linger() == 0s));
  socket.set_linger(std::nullopt);
  BOOST_TEST((socket.get_linger() == std::nullopt));
  BOOST_CHECK_NO_THROW(socket.set_linger(std::chrono::seconds::max()));
}

BOOST_AUTO_TEST_CASE(a_close_that_does_not_linger_resets, *timeout(10)) {
  Socket listener = net::create_server(loopback);
  Socket client = net::create_connection(listener.getsockname());
  Socket server = listener.accept().first;
  client.set_linger(0s);
  client.close();
  std::array<std::byte, 1> into{};
  server.settimeout(5s);
  BOOST_TEST(fails_with(std::errc::connection_reset, [&] { server.recv(into); }));
}

BOOST_AUTO_TEST_CASE(blocking_is_a_timeout_in_one_bit, *timeout(10)) {
  Socket socket(Family::ipv4);
  BOOST_TEST(socket.getblocking());
  socket.setblocking(false);
  BOOST_TEST(!socket.getblocking());
  BOOST_TEST((socket.gettimeout() == 0s));
  // Our calls do not block. The descriptor, which other processes may share, is unchanged.
  BOOST_TEST((::fcntl(socket.fileno(), F_GETFL) & O_NONBLOCK) == 0);
  socket.settimeout(2s);
  BOOST_TEST(socket.getblocking());
  socket.setblocking(true);
  BOOST_TEST((socket.gettimeout() == std::nullopt));
}

BOOST_AUTO_TEST_CASE(numbers_of_keep_alive_are_kept, *timeout(10)) {
  Socket socket(Family::ipv4);
  for (const auto& [option, number, value] :
       {std::tuple(SocketOption::keep_idle, TCP_KEEPIDLE, 61),
        std::tuple(SocketOption::keep_interval, TCP_KEEPINTVL, 7),
        std::tuple(SocketOption::keep_count, TCP_KEEPCNT, 4)}) {
    socket.setsockopt(option, value);
    BOOST_TEST(socket.getsockopt(option) == value);
    BOOST_TEST(raw(socket, IPPROTO_TCP, number) == value);
  }
}

BOOST_AUTO_TEST_CASE(the_other_options_reach_the_system, *timeout(10)) {
  Socket stream(Family::ipv4);
  stream.setsockopt(SocketOption::cork, 1);
  BOOST_TEST(raw(stream, IPPROTO_TCP, TCP_CORK) == 1);
  stream.setsockopt(SocketOption::quick_ack, 0);
  BOOST_TEST(stream.getsockopt(SocketOption::quick_ack) == raw(stream, IPPROTO_TCP, TCP_QUICKACK));
  stream.setsockopt(SocketOption::incoming_cpu, 0);
  BOOST_TEST(stream.getsockopt(SocketOption::incoming_cpu) == 0);
  Socket datagrams(Family::ipv4, SocketType::datagram);
  BOOST_TEST(datagrams.getsockopt(SocketOption::broadcast) == 0);
  datagrams.setsockopt(SocketOption::broadcast, 1);
  BOOST_TEST(raw(datagrams, SOL_SOCKET, SO_BROADCAST) == 1);
  Socket local(Family::unix_domain);
  local.setsockopt(SocketOption::pass_credentials, 1);
  BOOST_TEST(raw(local, SOL_SOCKET, SO_PASSCRED) == 1);
}

BOOST_AUTO_TEST_CASE(the_peer_of_a_unix_socket_is_known, *timeout(10)) {
  const net::PeerCredentials self{::getpid(), ::geteuid(), ::getegid()};
  const auto pair = net::socket_pair();
  BOOST_TEST((pair.first.peer_credentials() == self));
  const TemporaryDirectory directory;
  Socket listener = net::create_server(Address::unix_path(directory.path("x")));
  const Socket client = net::create_connection(listener.getsockname());
  BOOST_TEST((client.peer_credentials() == self));
  BOOST_TEST((listener.accept().first.peer_credentials() == self));
}

BOOST_AUTO_TEST_CASE(other_peers_are_not_known, *timeout(10)) {
  const Socket alone(Family::unix_domain);
  BOOST_TEST(
      fails_with(std::errc::not_connected, [&] { static_cast<void>(alone.peer_credentials()); }));
  Socket listener = net::create_server(loopback);
  const Socket client = net::create_connection(listener.getsockname());
  BOOST_TEST(fails_with(std::errc::operation_not_supported,
                        [&] { static_cast<void>(client.peer_credentials()); }));
}
