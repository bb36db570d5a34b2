#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstring>
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
using net::Address;
using net::Ancillary;
using net::Family;
using net::ReceivedMessage;
using net::Socket;
using net::SocketType;
using namespace std::chrono_literals;

namespace {

using Bytes = std::span<const std::byte>;
using Room = std::span<std::byte>;

std::pair<Socket, Socket> datagram_pair() {
  auto pair = net::socket_pair(SocketType::datagram);
  pair.second.settimeout(5s);
  return pair;
}

std::size_t send(Socket& socket, std::string_view text) {
  const std::array buffers{net::bytes(text)};
  return net::sendmsg(socket, buffers);
}

// Receives into one buffer.
std::pair<std::string, ReceivedMessage> receive(Socket& socket, std::size_t most = 100,
                                                Ancillary* ancillary = nullptr,
                                                net::ReceiveOptions options = {}) {
  std::string text(most, '\0');
  const std::array buffers{std::as_writable_bytes(std::span(text))};
  const auto received = net::recvmsg(socket, buffers, ancillary, options);
  text.resize(received.size);
  return {text, received};
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(at % 251);
  return bytes;
}

// Cuts the bytes into this many spans, some of which are empty.
std::vector<Bytes> cut(Bytes bytes, std::size_t pieces) {
  std::vector<Bytes> spans;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    const auto begin = bytes.size() * piece / pieces;
    spans.push_back(bytes.subspan(begin, bytes.size() * (piece + 1) / pieces - begin));
    if (piece % 7 == 0) spans.emplace_back();
  }
  return spans;
}

std::vector<std::byte> receive_all(Socket& socket) {
  std::vector<std::byte> all;
  std::vector<std::byte> some(65536);
  while (const auto count = socket.recv(some)) all.insert(all.end(), &some[0], &some[0] + count);
  return all;
}

void fill(Socket& socket) {
  const std::vector<std::byte> block(65536);
  while (socket.try_send(block)) {
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(several_buffers_make_one_message, *timeout(10)) {
  auto [left, right] = datagram_pair();
  const std::array from{net::bytes("one "), net::bytes(""), net::bytes("message")};
  BOOST_TEST(net::sendmsg(left, from) == 11U);
  BOOST_TEST(receive(right).first == "one message");
}

BOOST_AUTO_TEST_CASE(a_message_is_scattered_over_several_buffers, *timeout(10)) {
  auto [left, right] = datagram_pair();
  send(left, "scattered");
  std::string first(3, '\0');
  std::string second = "[....]";
  std::string third(100, '\0');
  const std::array into{std::as_writable_bytes(std::span(first)),
                        std::as_writable_bytes(std::span(second)).subspan(1, 4),
                        std::as_writable_bytes(std::span(third))};
  const auto received = net::recvmsg(right, into);
  BOOST_TEST(received.size == 9U);
  BOOST_TEST(first == "sca");
  BOOST_TEST(second == "[tter]");
  BOOST_TEST(third.substr(0, 2) == "ed");
}

BOOST_AUTO_TEST_CASE(a_datagram_that_does_not_fit_tells_its_size, *timeout(10)) {
  auto [left, right] = datagram_pair();
  send(left, "much too long");
  const auto [text, received] = receive(right, 4);
  BOOST_TEST(text == "much");
  BOOST_TEST(received.truncated);
  BOOST_TEST(received.size == 4U);
  BOOST_TEST(received.whole_size == 13U);
  BOOST_TEST(!received.end_of_record);
  send(left, "fits");
  const auto next = receive(right, 4).second;
  BOOST_TEST(!next.truncated);
  BOOST_TEST(next.whole_size == 4U);
}

BOOST_AUTO_TEST_CASE(a_udp_datagram_tells_its_size_and_sender, *timeout(10)) {
  Socket left(Family::ipv4, SocketType::datagram);
  left.bind(Address("127.0.0.1", 0));
  Socket right(Family::ipv4, SocketType::datagram);
  right.bind(Address("127.0.0.1", 0));
  right.settimeout(5s);
  const auto to = right.getsockname();
  const std::array from{net::bytes("to "), net::bytes("you")};
  BOOST_TEST(net::sendmsg(left, from, nullptr, &to) == 6U);
  const auto [text, received] = receive(right, 2);
  BOOST_TEST(text == "to");
  BOOST_TEST(received.whole_size == 6U);
  BOOST_TEST(received.truncated);
  BOOST_TEST(received.address == left.getsockname());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_of_a_stream_comes_next, *timeout(10)) {
  Socket listener = net::create_server(Address("127.0.0.1", 0));
  Socket client = net::create_connection(listener.getsockname());
  // This socket does not know its type. Receiving must work all the same.
  Socket server = Socket::adopt_unchecked(listener.accept().first.detach());
  send(client, "streams on");
  const auto [text, received] = receive(server, 7);
  BOOST_TEST(text == "streams");
  BOOST_TEST(received.whole_size == 7U);
  BOOST_TEST(!received.truncated);
  BOOST_TEST(receive(server).first == " on");
  BOOST_TEST(received.address == Address());
}

BOOST_AUTO_TEST_CASE(peeking_leaves_the_message, *timeout(10)) {
  for (const auto type : {SocketType::stream, SocketType::datagram}) {
    auto [left, right] = net::socket_pair(type);
    right.settimeout(5s);
    send(left, "still there");
    BOOST_TEST(receive(right, 5, nullptr, {.peek = true}).first == "still");
    BOOST_TEST(receive(right, 100, nullptr, {.peek = true}).first == "still there");
    BOOST_TEST(receive(right).first == "still there");
    right.settimeout(0ms);
    BOOST_TEST(fails_with(std::errc::operation_would_block, [&s = right] { receive(s); }));
  }
}

BOOST_AUTO_TEST_CASE(the_end_of_a_stream_is_an_empty_message, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  send(left, "last");
  left.close();
  BOOST_TEST(receive(right).first == "last");
  for (int turn = 0; turn < 2; ++turn) {
    const auto [text, received] = receive(right);
    BOOST_TEST(text == "");
    BOOST_TEST(received.whole_size == 0U);
    BOOST_TEST(!received.truncated);
  }
}

BOOST_AUTO_TEST_CASE(messages_without_waiting_find_nothing_and_no_room, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  std::array<std::byte, 8> room{};
  const std::array into{Room(room)};
  const std::array from{net::bytes("x")};
  BOOST_TEST(!net::try_recvmsg(right, into));
  BOOST_TEST((net::try_sendmsg(left, from) == 1U));
  const auto received = net::try_recvmsg(right, into);
  BOOST_REQUIRE(received.has_value());
  BOOST_TEST(received->size == 1U);
  fill(left);
  BOOST_TEST((net::try_sendmsg(left, from) == std::nullopt));
  BOOST_TEST((right.last_receive() == Socket::Received::perhaps_more));
}

BOOST_AUTO_TEST_CASE(a_receive_of_messages_tells_what_it_left, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  std::array<std::byte, 8> room{};
  const std::array into{Room(room)};
  net::try_recvmsg(right, into);
  BOOST_TEST((right.last_receive() == Socket::Received::all));
}

BOOST_AUTO_TEST_CASE(messages_wait_and_time_out, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  auto text = std::async(std::launch::async, [&s = right] { return receive(s).first; });
  send(left, "at last");
  BOOST_TEST(text.get() == "at last");
  right.settimeout(20ms);
  BOOST_CHECK_THROW(receive(right), net::TimeoutError);
  left.settimeout(20ms);
  fill(left);
  BOOST_CHECK_THROW(send(left, "x"), net::TimeoutError);
  const std::array from{net::bytes("x")};
  left.settimeout(std::nullopt);
  BOOST_CHECK_THROW(net::sendmsg_all(left, from, 20ms), net::TimeoutError);
  left.settimeout(0ms);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&s = left] { send(s, "x"); }));
}

BOOST_AUTO_TEST_CASE(messages_on_a_closed_socket_say_so, *timeout(10)) {
  Socket closed(Family::ipv4);
  closed.close();
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { receive(closed); }));
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { send(closed, "x"); }));
}

BOOST_AUTO_TEST_CASE(a_message_to_a_closed_peer_raises_no_signal, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  right.close();
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&s = left] { send(s, "x"); }));
  const std::array from{net::bytes("x")};
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&, &s = left] { net::sendmsg_all(s, from); }));
}

BOOST_AUTO_TEST_CASE(a_gather_of_any_size_arrives_whole, *timeout(20)) {
  const auto sent = pattern(8UL * 1024 * 1024 + 3);
  for (const std::size_t pieces : {1U, 3U, 1024U, 5000U}) {
    auto [left, right] = net::socket_pair();
    auto received = std::async(std::launch::async, [&s = right] { return receive_all(s); });
    net::sendmsg_all(left, cut(sent, pieces), 10s);
    left.close();
    BOOST_TEST((received.get() == sent));
  }
  auto [left, right] = net::socket_pair();
  BOOST_CHECK_NO_THROW(net::sendmsg_all(left, {}));
}

BOOST_AUTO_TEST_CASE(more_buffers_than_the_system_takes_are_refused, *timeout(10)) {
  auto [left, right] = datagram_pair();
  std::vector<Bytes> from(1024, net::bytes("x"));
  BOOST_TEST(net::sendmsg(left, from) == 1024U);
  from.push_back(net::bytes("x"));
  BOOST_TEST(fails_with(std::errc::message_size, [&, &s = left] { net::sendmsg(s, from); }));
  std::array<std::byte, 4> room{};
  const std::vector<Room> into(1025, Room(room));
  BOOST_TEST(fails_with(std::errc::message_size, [&, &s = right] { net::recvmsg(s, into); }));
  BOOST_TEST(text_of_failure([&, &s = right] { net::recvmsg(s, into); }).find("1025") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(credentials_come_with_each_message, *timeout(10)) {
  auto [left, right] = datagram_pair();
  right.setsockopt(net::SocketOption::pass_credentials, 1);
  send(left, "who?");
  Ancillary ancillary(sizeof(ucred));
  const auto received = receive(right, 100, &ancillary).second;
  BOOST_TEST(!received.ancillary_truncated);
  const auto items = ancillary.items();
  BOOST_REQUIRE(items.size() == 1U);
  BOOST_TEST(items[0].level == SOL_SOCKET);
  BOOST_TEST(items[0].type == SCM_CREDENTIALS);
  BOOST_REQUIRE(items[0].data.size() == sizeof(ucred));
  ucred who{};
  std::memcpy(&who, items[0].data.data(), sizeof who);
  BOOST_TEST(who.pid == ::getpid());
  BOOST_TEST(who.uid == ::getuid());
}

BOOST_AUTO_TEST_CASE(what_was_added_can_be_read_again, *timeout(10)) {
  Ancillary ancillary;
  BOOST_TEST(ancillary.items().empty());
  ancillary.add(1, 2, net::bytes("odd"));
  ancillary.add(3, 4, {});
  ancillary.add(5, 6, net::bytes("eight by"));
  const auto items = ancillary.items();
  BOOST_REQUIRE(items.size() == 3U);
  BOOST_TEST(items[0].level == 1);
  BOOST_TEST(items[0].type == 2);
  BOOST_TEST((std::ranges::equal(items[0].data, net::bytes("odd"))));
  BOOST_TEST(items[1].level == 3);
  BOOST_TEST(items[1].data.empty());
  BOOST_TEST((std::ranges::equal(items[2].data, net::bytes("eight by"))));
  for (const auto& item : items) {
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(item.data.data()) % alignof(cmsghdr) == 0U);
  }
}

BOOST_AUTO_TEST_CASE(without_room_what_came_beside_is_lost, *timeout(10)) {
  auto [left, right] = datagram_pair();
  right.setsockopt(net::SocketOption::pass_credentials, 1);
  send(left, "one");
  Ancillary none;
  BOOST_TEST(receive(right, 100, &none).second.ancillary_truncated);
  BOOST_TEST(none.items().empty());
  send(left, "two");
  BOOST_TEST(receive(right).second.ancillary_truncated);
}
