#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Socket;
using net::SocketOption;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<Socket> && !std::is_copy_assignable_v<Socket>);
static_assert(std::is_nothrow_move_constructible_v<Socket>);
static_assert(std::is_nothrow_move_assignable_v<Socket>);
static_assert(std::is_nothrow_default_constructible_v<Socket>);

namespace {

const net::Address loopback("127.0.0.1", 0);

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }
bool closes_on_exec(const Socket& socket) {
  return (::fcntl(socket.fileno(), F_GETFD) & FD_CLOEXEC) != 0;
}
bool blocks(int descriptor) { return (::fcntl(descriptor, F_GETFL) & O_NONBLOCK) == 0; }

int raw_option(const Socket& socket, int level, int number) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket.fileno(), level, number, &value, &size);
  return value;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_descriptor_is_close_on_exec, *timeout(10)) {
  const Socket datagram(net::Family::ipv4, net::SocketType::datagram);
  BOOST_TEST(closes_on_exec(datagram));
  Socket listener = net::create_server(loopback);
  BOOST_TEST(closes_on_exec(listener));
  const Socket client = net::create_connection(listener.getsockname());
  BOOST_TEST(closes_on_exec(client));
  BOOST_TEST(closes_on_exec(listener.accept().first));
  BOOST_TEST(closes_on_exec(client.dup()));
  const auto [left, right] = net::socket_pair();
  BOOST_TEST(closes_on_exec(left));
  BOOST_TEST(closes_on_exec(right));
}

BOOST_AUTO_TEST_CASE(a_socket_has_the_family_and_type_that_were_asked_for, *timeout(10)) {
  const Socket datagram(net::Family::ipv4, net::SocketType::datagram);
  BOOST_TEST(raw_option(datagram, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
  BOOST_TEST(raw_option(datagram, SOL_SOCKET, SO_DOMAIN) == AF_INET);
  const Socket stream(net::Family::unix_domain);
  BOOST_TEST(raw_option(stream, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
  BOOST_TEST(raw_option(stream, SOL_SOCKET, SO_DOMAIN) == AF_UNIX);
  const auto pair = net::socket_pair(net::SocketType::sequenced_packet);
  BOOST_TEST(raw_option(pair.second, SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET);
  BOOST_TEST(fails_with(std::errc::address_family_not_supported,
                        [] { Socket socket(net::Family::unspecified); }));
}

BOOST_AUTO_TEST_CASE(an_adopted_descriptor_is_owned, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const int descriptor = left.detach();
  {
    Socket adopted = Socket::adopt(descriptor);
    BOOST_TEST(adopted.fileno() == descriptor);
    adopted.sendall(net::bytes("x"));
  }
  BOOST_TEST(!is_open(descriptor));
}

BOOST_AUTO_TEST_CASE(only_an_open_socket_can_be_adopted, *timeout(10)) {
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [] { Socket::adopt(-1); }));
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  BOOST_TEST(fails_with(std::errc::not_a_socket, [&] { Socket::adopt(file); }));
  BOOST_TEST(is_open(file));
  ::close(file);
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { Socket::adopt(file); }));
}

BOOST_AUTO_TEST_CASE(closing_twice_leaves_the_next_owner_of_the_number_alone, *timeout(10)) {
  Socket first(net::Family::ipv4);
  const int number = first.fileno();
  first.close();
  const Socket second(net::Family::ipv4);
  BOOST_REQUIRE(second.fileno() == number);
  first.close();
  BOOST_TEST(is_open(number));
  BOOST_TEST(first.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(each_call_on_a_closed_socket_says_so, *timeout(10)) {
  Socket closed(net::Family::ipv4);
  closed.close();
  const auto says_so = [](auto&& call) { return fails_with(std::errc::bad_file_descriptor, call); };
  std::array<std::byte, 4> into{};
  BOOST_TEST(says_so([&] { closed.recv(into); }));
  BOOST_TEST(says_so([&] { closed.try_recv(into); }));
  BOOST_TEST(says_so([&] { closed.send(into); }));
  BOOST_TEST(says_so([&] { closed.try_send(into); }));
  BOOST_TEST(says_so([&] { closed.sendall(into); }));
  BOOST_TEST(says_so([&] { closed.bind(loopback); }));
  BOOST_TEST(says_so([&] { closed.listen(); }));
  BOOST_TEST(says_so([&] { closed.accept(); }));
  BOOST_TEST(says_so([&] { closed.connect(loopback); }));
  BOOST_TEST(says_so([&] { closed.shutdown(net::ShutdownHow::both); }));
  BOOST_TEST(says_so([&] { static_cast<void>(closed.dup()); }));
  BOOST_TEST(says_so([&] { closed.getsockname(); }));
  BOOST_TEST(says_so([&] { closed.getpeername(); }));
  BOOST_TEST(says_so([&] { closed.setsockopt(SocketOption::keep_alive, 1); }));
  BOOST_TEST(says_so([&] { closed.getsockopt(SocketOption::keep_alive); }));
  BOOST_TEST(says_so([&] { closed.wait_to_receive(10ms); }));
}

BOOST_AUTO_TEST_CASE(a_detached_descriptor_is_an_ordinary_one, *timeout(10)) {
  int descriptor = -1;
  {
    auto [left, right] = net::socket_pair();
    left.settimeout(1s);
    descriptor = left.detach();
    BOOST_TEST(left.fileno() == -1);
    left.close();
  }
  BOOST_TEST(is_open(descriptor));
  BOOST_TEST(blocks(descriptor));
  ::close(descriptor);
}

BOOST_AUTO_TEST_CASE(a_moved_socket_takes_its_limits_along, *timeout(10)) {
  const net::Deadline deadline = 1h;
  Socket from(net::Family::ipv4);
  const int number = from.fileno();
  from.settimeout(3s);
  from.set_deadline(deadline);
  Socket to(std::move(from));
  BOOST_TEST(to.fileno() == number);
  BOOST_TEST((to.gettimeout() == 3s));
  BOOST_TEST((to.deadline() == deadline));
  BOOST_TEST(from.fileno() == -1);
}

BOOST_AUTO_TEST_CASE(a_socket_that_is_assigned_to_is_closed_first, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left = Socket(net::Family::ipv4);
  std::array<std::byte, 1> into{};
  BOOST_TEST(right.recv(into) == 0U);
  Socket& itself = left;
  left = std::move(itself);
  BOOST_TEST(is_open(left.fileno()));
}

BOOST_AUTO_TEST_CASE(a_second_descriptor_shares_connection_and_timeouts, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.settimeout(2s, 3s);
  Socket copy = left.dup();
  BOOST_TEST((copy.gettimeout() == 2s));
  left.close();
  right.sendall(net::bytes("shared"));
  std::array<std::byte, 16> into{};
  BOOST_TEST(copy.recv(into) == 6U);
}

BOOST_AUTO_TEST_CASE(both_ends_know_both_addresses, *timeout(10)) {
  Socket listener = net::create_server(loopback);
  BOOST_TEST(listener.getsockname().port() != 0);
  const Socket client = net::create_connection(listener.getsockname());
  const auto [connection, peer] = listener.accept();
  BOOST_TEST(peer == client.getsockname());
  BOOST_TEST(connection.getpeername() == peer);
  BOOST_TEST(connection.getsockname() == listener.getsockname());
  BOOST_TEST(client.getpeername() == listener.getsockname());
}

BOOST_AUTO_TEST_CASE(a_socket_without_peer_is_not_connected, *timeout(10)) {
  const Socket socket(net::Family::ipv4);
  BOOST_TEST(fails_with(std::errc::not_connected, [&] { socket.getpeername(); }));
}

BOOST_AUTO_TEST_CASE(a_failed_bind_names_the_address, *timeout(10)) {
  const Socket owner = net::create_server(loopback);
  const auto bind = [](const net::Address& address) { Socket(net::Family::ipv4).bind(address); };
  const auto address = owner.getsockname();
  BOOST_TEST(fails_with(std::errc::address_in_use, [&] { bind(address); }));
  const auto text = text_of_failure([&] { bind(address); });
  BOOST_TEST(text.find("bind to " + address.to_string()) == 0U);
  const net::Address foreign("198.51.100.1", 0);
  BOOST_TEST(fails_with(std::errc::address_not_available, [&] { bind(foreign); }));
  BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { bind(net::Address()); }));
}

BOOST_AUTO_TEST_CASE(a_listener_does_not_block_and_what_it_accepts_does, *timeout(10)) {
  Socket listener(net::Family::ipv4);
  listener.bind(loopback);
  BOOST_TEST(blocks(listener.fileno()));
  listener.listen();
  BOOST_TEST(!blocks(listener.fileno()));
  listener.settimeout(5s);
  const Socket client = net::create_connection(listener.getsockname());
  BOOST_TEST(blocks(client.fileno()));
  const Socket connection = listener.accept().first;
  BOOST_TEST(blocks(connection.fileno()));
  BOOST_TEST((connection.gettimeout() == std::nullopt));
}

BOOST_AUTO_TEST_CASE(a_listener_that_is_adopted_does_not_block_either, *timeout(10)) {
  const Socket passed = net::create_server(loopback);
  ::fcntl(passed.fileno(), F_SETFL, ::fcntl(passed.fileno(), F_GETFL) & ~O_NONBLOCK);
  const Socket listener = Socket::adopt(passed.dup().detach());
  BOOST_TEST(!blocks(listener.fileno()));
}
