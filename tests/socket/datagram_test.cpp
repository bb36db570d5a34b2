#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"
#include "support/temporary_directory.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::Family;
using net::Socket;
using net::SocketType;
using namespace std::chrono_literals;

namespace {

Socket bound_to(const Address& address) {
  Socket socket(address.family(), SocketType::datagram);
  socket.settimeout(5s);
  socket.bind(address);
  return socket;
}

Socket on_loopback() { return bound_to(Address("127.0.0.1", 0)); }

std::pair<std::string, Address> receive(Socket& socket, std::size_t most = 1000) {
  std::string text(most, '\0');
  auto [count, sender] = socket.recvfrom(std::as_writable_bytes(std::span(text)));
  text.resize(count);
  return {text, sender};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_datagram_arrives_with_its_sender, *timeout(10)) {
  Socket left = on_loopback();
  Socket right = on_loopback();
  BOOST_TEST(left.sendto(net::bytes("there"), right.getsockname()) == 5U);
  const auto [text, sender] = receive(right);
  BOOST_TEST(text == "there");
  BOOST_TEST(sender == left.getsockname());
  right.sendto(net::bytes("and back"), sender);
  BOOST_TEST(receive(left).first == "and back");
}

BOOST_AUTO_TEST_CASE(an_empty_datagram_arrives_as_one, *timeout(10)) {
  Socket left = on_loopback();
  Socket right = on_loopback();
  BOOST_TEST(left.sendto({}, right.getsockname()) == 0U);
  const auto [text, sender] = receive(right);
  BOOST_TEST(text == "");
  BOOST_TEST(sender == left.getsockname());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_of_a_datagram_is_lost, *timeout(10)) {
  Socket left = on_loopback();
  Socket right = on_loopback();
  left.sendto(net::bytes("too long"), right.getsockname());
  left.sendto(net::bytes("next"), right.getsockname());
  BOOST_TEST(receive(right, 3).first == "too");
  BOOST_TEST(receive(right, 0).first == "");
  left.sendto(net::bytes("last"), right.getsockname());
  BOOST_TEST(receive(right).first == "last");
}

BOOST_AUTO_TEST_CASE(a_stream_can_be_received_from_as_well, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.sendall(net::bytes("stream"));
  const auto [text, sender] = receive(right, 3);
  BOOST_TEST(text == "str");
  BOOST_TEST(sender == Address());
  BOOST_TEST(receive(right).first == "eam");
  left.close();
  BOOST_TEST(receive(right).first == "");
}

BOOST_AUTO_TEST_CASE(unix_datagrams_have_the_senders_path_if_there_is_one, *timeout(10)) {
  const TemporaryDirectory directory;
  Socket server = bound_to(Address::unix_path(directory.path("server")));
  Socket client = bound_to(Address::unix_path(directory.path("client")));
  client.sendto(net::bytes("named"), server.getsockname());
  BOOST_TEST(receive(server).second == Address::unix_path(directory.path("client")));
  Socket nameless(Family::unix_domain, SocketType::datagram);
  nameless.sendto(net::bytes("nameless"), server.getsockname());
  const auto [text, sender] = receive(server);
  BOOST_TEST(text == "nameless");
  BOOST_TEST(sender == Address());
}

BOOST_AUTO_TEST_CASE(a_receive_from_waits_and_times_out, *timeout(10)) {
  Socket left = on_loopback();
  Socket right = on_loopback();
  auto text = std::async(std::launch::async, [&] { return receive(right).first; });
  left.sendto(net::bytes("late"), right.getsockname());
  BOOST_TEST(text.get() == "late");
  right.settimeout(20ms);
  BOOST_CHECK_THROW(receive(right), net::TimeoutError);
  right.settimeout(0ms);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { receive(right); }));
  right.settimeout(std::nullopt);
  right.set_deadline(20ms);
  BOOST_CHECK_THROW(receive(right), net::TimeoutError);
}

BOOST_AUTO_TEST_CASE(a_send_to_a_full_socket_waits_and_times_out, *timeout(10)) {
  const TemporaryDirectory directory;
  Socket server = bound_to(Address::unix_path(directory.path("server")));
  Socket client(Family::unix_domain, SocketType::datagram);
  client.settimeout(20ms);
  const auto fill = [&] {
    for (;;) client.sendto(net::bytes("x"), server.getsockname());
  };
  BOOST_CHECK_THROW(fill(), net::TimeoutError);
  BOOST_TEST(text_of_failure(fill).find(server.getsockname().to_string()) != std::string::npos);
  client.settimeout(5s);
  auto room = std::async(std::launch::async, [&] { receive(server); });
  BOOST_TEST(client.sendto(net::bytes("y"), server.getsockname()) == 1U);
  room.get();
}

BOOST_AUTO_TEST_CASE(a_send_that_waits_for_a_full_receiver_costs_nothing, *timeout(10)) {
  const TemporaryDirectory directory;
  Socket server = bound_to(Address::unix_path(directory.path("server")));
  Socket client(Family::unix_domain, SocketType::datagram);
  client.settimeout(200ms);
  const std::clock_t before = std::clock();
  BOOST_CHECK_THROW(for (;;) client.sendto(net::bytes("x"), server.getsockname()),
                    net::TimeoutError);
  BOOST_TEST(std::clock() - before < CLOCKS_PER_SEC / 10);
}

BOOST_AUTO_TEST_CASE(a_send_that_waits_ends_with_its_receiver, *timeout(10)) {
  const TemporaryDirectory directory;
  Socket server = bound_to(Address::unix_path(directory.path("server")));
  const auto address = server.getsockname();
  auto sending = std::async(std::launch::async, [&] {
    Socket client(Family::unix_domain, SocketType::datagram);
    for (;;) client.sendto(net::bytes("x"), address);
  });
  BOOST_TEST(server.wait_to_receive(5s));
  server.close();
  BOOST_TEST(fails_with(std::errc::connection_refused, [&] { sending.get(); }));
}

BOOST_AUTO_TEST_CASE(a_datagram_has_a_longest_size, *timeout(10)) {
  Socket left = on_loopback();
  const std::vector<std::byte> large(65536);
  BOOST_TEST(fails_with(std::errc::message_size, [&] { left.sendto(large, left.getsockname()); }));
}

BOOST_AUTO_TEST_CASE(many_threads_receive_from_one_datagram_socket, *timeout(20)) {
  Socket server = on_loopback();
  Socket client = on_loopback();
  constexpr int threads = 4;
  constexpr int each = 200;
  std::vector<std::future<int>> received;
  for (int thread = 0; thread < threads; ++thread) {
    received.push_back(std::async(std::launch::async, [&] {
      int count = 0;
      while (receive(server).first != "end") ++count;
      return count;
    }));
  }
  for (int turn = 0; turn < each; ++turn) client.sendto(net::bytes("x"), server.getsockname());
  for (int thread = 0; thread < threads; ++thread) {
    client.sendto(net::bytes("end"), server.getsockname());
  }
  int sum = 0;
  for (auto& count : received) sum += count.get();
  BOOST_TEST(sum == each);
}

BOOST_AUTO_TEST_CASE(datagrams_on_a_closed_socket_say_so, *timeout(10)) {
  Socket closed(Family::ipv4, SocketType::datagram);
  closed.close();
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { receive(closed); }));
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor,
                        [&] { closed.sendto({}, Address("127.0.0.1", 9)); }));
}
