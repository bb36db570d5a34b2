#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Socket;
using Received = net::Socket::Received;
using namespace std::chrono_literals;

namespace {

std::string receive(Socket& socket, std::size_t most) {
  std::string text(most, '\0');
  text.resize(socket.recv(std::as_writable_bytes(std::span(text))));
  return text;
}

std::string receive_all(Socket& socket) {
  std::string all;
  for (std::string some; !(some = receive(socket, 65536)).empty();) all += some;
  return all;
}

std::pair<Socket, Socket> tcp_pair() {
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  Socket client = net::create_connection(listener.getsockname());
  return {std::move(client), listener.accept().first};
}

// Sends until the kernel's buffer is full, and returns how many bytes were sent.
std::size_t fill(Socket& socket) {
  const std::vector<std::byte> block(65536, std::byte{'f'});
  std::size_t sent = 0;
  while (const auto count = socket.try_send(block)) sent += *count;
  return sent;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_receive_takes_what_is_there_and_leaves_the_rest, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.sendall(net::bytes("message"));
  BOOST_TEST(receive(right, 3) == "mes");
  BOOST_TEST(receive(right, 100) == "sage");
}

BOOST_AUTO_TEST_CASE(the_end_of_the_stream_is_zero_bytes_again_and_again, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.sendall(net::bytes("last"));
  left.close();
  BOOST_TEST(receive(right, 100) == "last");
  BOOST_TEST(receive(right, 100) == "");
  BOOST_TEST(receive(right, 100) == "");
}

BOOST_AUTO_TEST_CASE(a_receive_of_no_bytes_waits_for_none, *timeout(10)) {
  const auto check = [](Socket& socket) {
    socket.settimeout(0ms);
    BOOST_TEST((socket.try_recv({}) == 0U));
    BOOST_TEST(socket.recv({}) == 0U);
    BOOST_TEST((socket.last_receive() == Received::nothing_asked));
  };
  auto local = net::socket_pair();
  check(local.first);
  auto tcp = tcp_pair();
  check(tcp.first);
}

BOOST_AUTO_TEST_CASE(a_receive_that_must_not_wait_finds_nothing, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  std::array<std::byte, 8> into{};
  BOOST_TEST((right.try_recv(into) == std::nullopt));
  left.sendall(net::bytes("ab"));
  BOOST_TEST((right.try_recv(into) == 2U));
  left.close();
  BOOST_TEST((right.try_recv(into) == 0U));
}

BOOST_AUTO_TEST_CASE(a_send_that_must_not_wait_finds_no_room, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const auto sent = fill(left);
  BOOST_TEST(sent > 0U);
  BOOST_TEST((left.try_send(net::bytes("x")) == std::nullopt));
  left.close();
  BOOST_TEST(receive_all(right) == std::string(sent, 'f'));
}

BOOST_AUTO_TEST_CASE(a_send_waits_for_room, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const auto sent = fill(left);
  auto received = std::async(std::launch::async, [&] { return receive_all(right); });
  BOOST_TEST(left.send(net::bytes("x")) == 1U);
  left.close();
  BOOST_TEST(received.get() == std::string(sent, 'f') + 'x');
}

BOOST_AUTO_TEST_CASE(sendall_sends_more_than_the_kernel_holds, *timeout(10)) {
  auto [left, right] = tcp_pair();
  std::string text(16UL * 1024 * 1024, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(at % 251);
  auto received = std::async(std::launch::async, [&] { return receive_all(right); });
  left.sendall(net::bytes(text));
  left.shutdown(net::ShutdownHow::write);
  BOOST_TEST((received.get() == text));
}

BOOST_AUTO_TEST_CASE(what_was_sent_before_a_shutdown_arrives, *timeout(10)) {
  auto [left, right] = tcp_pair();
  left.sendall(net::bytes("last words"));
  left.shutdown(net::ShutdownHow::both);
  BOOST_TEST(receive_all(right) == "last words");
}

BOOST_AUTO_TEST_CASE(each_direction_ends_by_itself, *timeout(10)) {
  auto [left, right] = tcp_pair();
  left.shutdown(net::ShutdownHow::write);
  BOOST_TEST(receive(right, 1) == "");
  right.sendall(net::bytes("answer"));
  BOOST_TEST(receive(left, 100) == "answer");
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { left.sendall(net::bytes("x")); }));
  left.shutdown(net::ShutdownHow::read);
  BOOST_TEST(receive(left, 1) == "");
}

BOOST_AUTO_TEST_CASE(a_shutdown_wakes_a_receive_of_another_thread, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  std::promise<void> begun;
  auto text = std::async(std::launch::async, [&] {
    begun.set_value();
    return receive(right, 1);
  });
  begun.get_future().wait();
  right.shutdown(net::ShutdownHow::both);
  BOOST_TEST(text.get() == "");
}

BOOST_AUTO_TEST_CASE(a_shutdown_without_a_peer_is_no_error, *timeout(10)) {
  BOOST_CHECK_NO_THROW(Socket(net::Family::ipv4).shutdown(net::ShutdownHow::both));
}

BOOST_AUTO_TEST_CASE(a_peer_that_closes_with_bytes_unread_resets, *timeout(10)) {
  auto [left, right] = tcp_pair();
  left.sendall(net::bytes("unread"));
  BOOST_REQUIRE(right.wait_to_receive(5s));
  right.close();
  BOOST_TEST(fails_with(std::errc::connection_reset, [&] { receive(left, 1); }));
}

BOOST_AUTO_TEST_CASE(a_wait_to_receive_tells_of_bytes_and_of_the_end, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  BOOST_TEST(!right.wait_to_receive(0ms));
  left.sendall(net::bytes("x"));
  BOOST_TEST(right.wait_to_receive(net::Deadline::never()));
  BOOST_TEST(receive(right, 1) == "x");
  BOOST_TEST(!right.wait_to_receive(0ms));
  left.close();
  BOOST_TEST(right.wait_to_receive(net::Deadline::never()));
}

BOOST_AUTO_TEST_CASE(the_last_receive_tells_what_it_left, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  BOOST_TEST((right.last_receive() == Received::nothing_asked));
  left.sendall(net::bytes("abc"));
  receive(right, 1);
  BOOST_TEST((right.last_receive() == Received::perhaps_more));
  receive(right, 3);
  BOOST_TEST((right.last_receive() == Received::all));
  right.forget_receives();
  BOOST_TEST((right.last_receive() == Received::nothing_asked));
  std::array<std::byte, 1> into{};
  right.try_recv(into);
  BOOST_TEST((right.last_receive() == Received::all));
  left.close();
  receive(right, 1);
  BOOST_TEST((right.last_receive() == Received::end));
}
