#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "support/fails_with.hpp"

import net.handler;

using boost::unit_test::timeout;
using net::BufferedStream;
using net::StreamReader;
using Arrival = net::BufferedStream::Arrival;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<BufferedStream>);

namespace {

// A reader, and the other end of its connection.
struct Reading {
  explicit Reading(std::pair<net::Socket, net::Socket> pair = net::socket_pair())
      : peer(std::move(pair.first)), stream(std::move(pair.second)) {}

  void send(std::string_view text) { peer.sendall(net::bytes(text)); }
  void send_last(std::string_view text) {
    send(text);
    peer.close();
  }

  net::Socket peer;
  BufferedStream stream;
  StreamReader reader{stream};
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_line_is_returned_with_its_end, *timeout(10)) {
  Reading reading;
  reading.send("one\n\r\n\n");
  BOOST_TEST(reading.reader.read_line().value() == "one\n");
  BOOST_TEST(reading.reader.read_line().value() == "\r\n");
  BOOST_TEST(reading.reader.read_line().value() == "\n");
}

BOOST_AUTO_TEST_CASE(a_line_may_come_in_pieces, *timeout(10)) {
  // A receive takes one packet, so each piece is received separately.
  Reading reading(net::socket_pair(net::SocketType::sequenced_packet));
  for (const auto* piece : {"piece", "wise", "\n", "next", "\nline", " three\n"})
    reading.send(piece);
  BOOST_TEST(reading.reader.read_line().value() == "piecewise\n");
  BOOST_TEST(reading.reader.read_line().value() == "next\n");
  BOOST_TEST(reading.reader.read_line().value() == "line three\n");
}

BOOST_AUTO_TEST_CASE(a_last_line_needs_no_end, *timeout(10)) {
  Reading reading;
  reading.send_last("one\ntwo");
  BOOST_TEST(reading.reader.read_line().value() == "one\n");
  BOOST_TEST(reading.reader.read_line().value() == "two");
  BOOST_TEST(!reading.reader.read_line().has_value());
  BOOST_TEST(!reading.reader.read_line().has_value());
}

BOOST_AUTO_TEST_CASE(a_line_of_exactly_the_limit_is_no_error, *timeout(10)) {
  Reading reading;
  reading.send("1234\n678\n");
  BOOST_TEST(reading.reader.read_line(5).value() == "1234\n");
  BOOST_TEST(reading.reader.read_line(4).value() == "678\n");
}

BOOST_AUTO_TEST_CASE(a_last_line_of_exactly_the_limit_is_no_error, *timeout(10)) {
  Reading reading;
  reading.send_last("12345");
  BOOST_TEST(reading.reader.read_line(5).value() == "12345");
}

BOOST_AUTO_TEST_CASE(a_line_beyond_the_limit_is_a_message_size_error, *timeout(10)) {
  Reading reading;
  reading.send("12345\n");
  const auto read = [&] { reading.reader.read_line(5); };
  BOOST_TEST(fails_with(std::errc::message_size, read));
  BOOST_TEST(text_of_failure(read).find("5 bytes") != std::string::npos);
  BOOST_TEST(reading.reader.read_line(6).value() == "12345\n");
}

BOOST_AUTO_TEST_CASE(a_line_without_end_is_an_error_at_the_limit, *timeout(10)) {
  Reading reading;
  reading.send("123456");
  BOOST_TEST(fails_with(std::errc::message_size, [&] { reading.reader.read_line(5); }));
}

BOOST_AUTO_TEST_CASE(the_limit_of_a_line_is_64_kibibytes, *timeout(10)) {
  Reading reading;
  std::string longest(65535, 'x');
  auto sent = std::async(std::launch::async, [&] {
    reading.send(longest + '\n');
    reading.send(longest + "xx");
  });
  BOOST_TEST((reading.reader.read_line().value() == longest + '\n'));
  BOOST_TEST(fails_with(std::errc::message_size, [&] { reading.reader.read_line(); }));
  reading.reader.read_some();
  sent.get();
}

BOOST_AUTO_TEST_CASE(an_exact_read_leaves_the_rest, *timeout(10)) {
  Reading reading;
  reading.send("headbody");
  BOOST_TEST(reading.reader.read_exactly(4) == "head");
  BOOST_TEST(reading.reader.buffered() == "body");
  std::array<std::byte, 3> into{};
  reading.reader.read_exactly(into);
  BOOST_TEST((into == std::array{std::byte{'b'}, std::byte{'o'}, std::byte{'d'}}));
  BOOST_TEST(reading.reader.read_exactly(0) == "");
  BOOST_TEST(reading.reader.read_some() == "y");
}

BOOST_AUTO_TEST_CASE(an_exact_read_waits_for_the_last_byte, *timeout(10)) {
  const std::string text(3UL * 1024 * 1024, 'x');
  Reading reading;
  auto sent = std::async(std::launch::async, [&] {
    reading.send(text);
    reading.send(text);
  });
  BOOST_TEST((reading.reader.read_exactly(text.size()) == text));
  std::string into(text.size(), '\0');
  reading.reader.read_exactly(std::as_writable_bytes(std::span(into)));
  BOOST_TEST((into == text));
  sent.get();
}

BOOST_AUTO_TEST_CASE(an_exact_read_cut_short_is_an_end_of_stream, *timeout(10)) {
  static_assert(!std::is_base_of_v<std::system_error, net::EndOfStream>);
  Reading reading;
  reading.send_last("abc");
  BOOST_CHECK_THROW(reading.reader.read_exactly(4), net::EndOfStream);
  std::array<std::byte, 4> into{};
  BOOST_CHECK_THROW(reading.reader.read_exactly(into), net::EndOfStream);
  BOOST_CHECK_NO_THROW(reading.reader.read_exactly(std::span<std::byte>()));
}

BOOST_AUTO_TEST_CASE(an_exact_read_beyond_its_limit_reserves_nothing, *timeout(10)) {
  Reading reading;
  reading.send("abc");
  BOOST_TEST(fails_with(std::errc::message_size, [&] { reading.reader.read_exactly(SIZE_MAX); }));
  BOOST_TEST(fails_with(std::errc::message_size, [&] { reading.reader.read_exactly(4, 3); }));
  BOOST_TEST(fails_with(std::errc::message_size,
                        [&] { reading.reader.read_exactly(16UL * 1024 * 1024 + 1); }));
  BOOST_TEST(reading.reader.read_exactly(3, 3) == "abc");
}

BOOST_AUTO_TEST_CASE(some_is_what_is_here_up_to_a_limit, *timeout(10)) {
  Reading reading;
  reading.send_last("abcdef");
  BOOST_TEST(reading.reader.buffered() == "");
  BOOST_TEST(reading.reader.read_some(4) == "abcd");
  BOOST_TEST(reading.reader.buffered() == "ef");
  BOOST_TEST(reading.reader.read_some() == "ef");
  BOOST_TEST(reading.reader.read_some() == "");
  BOOST_TEST(reading.stream.ended());
}

BOOST_AUTO_TEST_CASE(a_view_stays_valid_until_the_next_read, *timeout(10)) {
  Reading reading;
  reading.send("first\nsecond\n");
  const auto first = reading.reader.read_line().value();
  BOOST_TEST(reading.reader.buffered() == "second\n");
  reading.stream.write(net::bytes("an answer"));
  BOOST_TEST(first == "first\n");
}

BOOST_AUTO_TEST_CASE(a_silence_past_the_timeout_throws_timeout_error, *timeout(10)) {
  Reading reading;
  reading.stream.socket().settimeout(20ms);
  BOOST_CHECK_THROW(reading.reader.read_some(), net::TimeoutError);
  reading.send("ab");
  BOOST_CHECK_THROW(reading.reader.read_line(), net::TimeoutError);
  BOOST_CHECK_THROW(reading.reader.read_exactly(3), net::TimeoutError);
  BOOST_TEST(reading.reader.read_exactly(2) == "ab");
}

BOOST_AUTO_TEST_CASE(a_receive_that_must_not_wait_tells_what_came, *timeout(10)) {
  Reading reading;
  BOOST_TEST((reading.stream.receive_now(SIZE_MAX) == Arrival::nothing));
  reading.send("abcdef");
  BOOST_TEST((reading.stream.receive_now(4) == Arrival::bytes));
  BOOST_TEST(reading.reader.buffered() == "abcd");
  BOOST_TEST((reading.stream.receive_now(0) != Arrival::end));
  BOOST_TEST(!reading.stream.ended());
  BOOST_TEST((reading.stream.receive_now(SIZE_MAX) == Arrival::bytes));
  reading.peer.close();
  BOOST_TEST((reading.stream.receive_now(SIZE_MAX) == Arrival::end));
  BOOST_TEST(reading.reader.buffered() == "abcdef");
  BOOST_TEST(!reading.stream.receive());
}

BOOST_AUTO_TEST_CASE(a_terminator_may_be_of_any_length, *timeout(10)) {
  Reading reading;
  reading.send("GET /\r\n\r\nrest\r");
  BOOST_TEST(reading.reader.read_until("\r\n\r\n").value() == "GET /\r\n\r\n");
  // The delimiter arrives in two parts.
  auto second = std::async(std::launch::async, [&] { reading.send_last("\n\r\nend"); });
  BOOST_TEST(reading.reader.read_until("\r\n\r\n").value() == "rest\r\n\r\n");
  BOOST_TEST(reading.reader.read_until("\r\n\r\n").value() == "end");
  BOOST_TEST(!reading.reader.read_until("\r\n\r\n"));
  second.get();
}

BOOST_AUTO_TEST_CASE(a_terminator_that_does_not_come_within_the_limit_is_an_error, *timeout(10)) {
  Reading reading;
  reading.send("abcabcab;;");
  BOOST_TEST(fails_with(std::errc::message_size, [&] { reading.reader.read_until(";;", 9); }));
  BOOST_TEST(reading.reader.read_until(";;", 10).value() == "abcabcab;;");
}
