#include <stdio.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.handler;

using boost::unit_test::timeout;
using net::BufferedStream;
using net::StreamWriter;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kibi = 1024;

struct Writing {
  explicit Writing(std::size_t write_buffer,
                   std::pair<net::Socket, net::Socket> pair = net::socket_pair())
      : peer(std::move(pair.first)), stream(std::move(pair.second)) {
    stream.set_write_buffer(write_buffer);
  }

  // Fills the kernel's buffers, and returns how many bytes they hold.
  std::size_t fill() {
    const std::string block(64 * kibi, 'f');
    std::size_t sent = 0;
    while (const auto count = stream.socket().try_send(net::bytes(block))) sent += *count;
    return sent;
  }

  // Reads `count` bytes, or fewer if the stream ends first.
  std::string read(std::size_t count) {
    std::string text(count, '\0');
    auto rest = std::as_writable_bytes(std::span(text));
    while (!rest.empty()) {
      const auto received = peer.recv(rest);
      if (received == 0) break;
      rest = rest.subspan(received);
    }
    text.resize(count - rest.size());
    return text;
  }

  std::string read_all() { return read(std::size_t{16} * kibi * kibi); }

  net::Socket peer;
  BufferedStream stream;
  StreamWriter writer{stream};
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_written_is_sent_at_once, *timeout(10)) {
  Writing writing(256 * kibi);
  writing.writer.write("text, ");
  writing.writer.write(net::bytes("bytes"));
  BOOST_TEST(writing.stream.pending() == 0U);
  BOOST_TEST(writing.read(11) == "text, bytes");
}

BOOST_AUTO_TEST_CASE(an_empty_write_sends_nothing, *timeout(10)) {
  Writing writing(0);
  writing.fill();
  writing.stream.socket().settimeout(0ms);
  BOOST_CHECK_NO_THROW(writing.writer.write(""));
  BOOST_CHECK_NO_THROW(writing.writer.flush());
}

BOOST_AUTO_TEST_CASE(a_write_up_to_the_buffer_does_not_wait, *timeout(10)) {
  Writing writing(100);
  const auto kernel = writing.fill();
  writing.stream.socket().settimeout(0ms);
  writing.writer.write(std::string(60, 'a'));
  BOOST_TEST(writing.stream.pending() == 60U);
  writing.writer.write(std::string(40, 'b'));
  BOOST_TEST(writing.stream.pending() == 100U);
  BOOST_TEST(!writing.stream.flush_now());
  BOOST_TEST(writing.stream.pending() == 100U);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { writing.writer.write("c"); }));
  BOOST_TEST(writing.read(kernel) == std::string(kernel, 'f'));
  BOOST_TEST(writing.stream.flush_now());
  BOOST_TEST(writing.stream.pending() == 0U);
  BOOST_TEST(writing.read(100) == std::string(60, 'a') + std::string(40, 'b'));
}

BOOST_AUTO_TEST_CASE(nothing_overtakes_what_is_pending, *timeout(10)) {
  Writing writing(100);
  const auto kernel = writing.fill();
  writing.writer.write("first, ");
  BOOST_TEST(writing.read(kernel).size() == kernel);
  writing.writer.write("second");
  writing.writer.flush();
  BOOST_TEST(writing.read(13) == "first, second");
}

BOOST_AUTO_TEST_CASE(only_what_the_kernel_does_not_take_becomes_pending, *timeout(10)) {
  Writing writing(8 * kibi * kibi);
  const std::string text(4 * kibi * kibi, 't');
  writing.stream.socket().settimeout(0ms);
  writing.writer.write(text);
  BOOST_TEST(writing.stream.pending() > 0U);
  BOOST_TEST(writing.stream.pending() < text.size());
  std::string received = writing.read(text.size() - writing.stream.pending());
  while (!writing.stream.flush_now()) {
    received += writing.read(text.size() - writing.stream.pending() - received.size());
  }
  received += writing.read(text.size() - received.size());
  BOOST_TEST((received == text));
}

BOOST_AUTO_TEST_CASE(a_write_beyond_the_buffer_waits_until_all_is_sent, *timeout(10)) {
  Writing writing(10);
  const auto kernel = writing.fill();
  writing.writer.write("0123456789");
  auto received = std::async(std::launch::async, [&] { return writing.read_all(); });
  writing.writer.write("ab");
  writing.writer.flush();
  writing.stream.socket().close();
  BOOST_TEST(received.get() == std::string(kernel, 'f') + "0123456789ab");
}

BOOST_AUTO_TEST_CASE(held_output_is_sent_before_a_receive_waits, *timeout(10)) {
  Writing writing(256 * kibi);
  const auto kernel = writing.fill();
  writing.stream.set_hold(BufferedStream::Hold::all);
  const std::string held(60 * kibi, 'h');
  writing.writer.write(held);
  // The client takes a part, so that the socket takes a part, and the rest before it asks again.
  auto received = std::async(std::launch::async, [&] {
    std::string text = writing.read(kernel + held.size());
    writing.peer.sendall(net::bytes("next"), 5s);
    return text;
  });
  BOOST_TEST(writing.stream.receive());
  BOOST_TEST(received.get() == std::string(kernel, 'f') + held);
}

BOOST_AUTO_TEST_CASE(held_output_is_sent_before_the_socket_is_used, *timeout(10)) {
  Writing writing(256 * kibi);
  const auto kernel = writing.fill();
  writing.stream.set_hold(BufferedStream::Hold::all);
  const std::string held(60 * kibi, 'h');
  writing.writer.write(held);
  auto received = std::async(std::launch::async, [&] { return writing.read_all(); });
  writing.stream.stop_holding();
  BOOST_TEST(!writing.stream.is_pending());
  writing.stream.socket().sendall(net::bytes("direct"), 5s);
  writing.stream.socket().close();
  BOOST_TEST(received.get() == std::string(kernel, 'f') + held + "direct");
}

BOOST_AUTO_TEST_CASE(an_empty_write_changes_nothing, *timeout(10)) {
  Writing writing(256 * kibi);
  const auto kernel = writing.fill();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  BOOST_TEST_REQUIRE(file);
  std::fputs("the file", file.get());
  std::fflush(file.get());
  writing.writer.send_file(::fileno(file.get()));
  BOOST_TEST(writing.stream.is_pending());
  writing.writer.write("");
  BOOST_TEST(writing.stream.is_pending());
  auto received = std::async(std::launch::async, [&] { return writing.read_all(); });
  writing.writer.flush();
  writing.stream.socket().close();
  BOOST_TEST(received.get() == std::string(kernel, 'f') + "the file");
}

BOOST_AUTO_TEST_CASE(without_a_buffer_each_write_waits, *timeout(10)) {
  Writing writing(0);
  writing.fill();
  writing.stream.socket().settimeout(20ms);
  const auto before = std::chrono::steady_clock::now();
  BOOST_CHECK_THROW(writing.writer.write("x"), net::TimeoutError);
  BOOST_TEST((std::chrono::steady_clock::now() - before >= 20ms));
  BOOST_TEST(writing.stream.pending() == 0U);
}

BOOST_AUTO_TEST_CASE(a_flush_waits_until_nothing_is_pending, *timeout(10)) {
  Writing writing(100);
  const auto kernel = writing.fill();
  writing.writer.write("rest");
  writing.stream.socket().settimeout(20ms);
  BOOST_CHECK_THROW(writing.writer.flush(), net::TimeoutError);
  BOOST_TEST(writing.stream.pending() == 4U);
  writing.stream.socket().settimeout(5s);
  auto received = std::async(std::launch::async, [&] { return writing.read(kernel + 4); });
  writing.writer.flush();
  BOOST_TEST(writing.stream.pending() == 0U);
  BOOST_TEST(received.get() == std::string(kernel, 'f') + "rest");
}

BOOST_AUTO_TEST_CASE(each_wait_of_a_write_has_the_whole_timeout, *timeout(20)) {
  Writing writing(0);
  writing.stream.socket().settimeout(500ms);
  auto [stop, stopped] = net::socket_pair();
  // The peer reads slowly, for longer than the timeout in total.
  const std::string text(7 * kibi * kibi, 's');
  auto received = std::async(std::launch::async, [&, &waiting = stopped] {
    std::string all;
    while (all.size() < text.size()) {
      waiting.wait_to_receive(5ms);
      all += writing.read(std::min(text.size() - all.size(), 64 * kibi));
    }
    return all;
  });
  BOOST_CHECK_NO_THROW(writing.writer.write(text));
  BOOST_TEST((received.get() == text));
}

BOOST_AUTO_TEST_CASE(a_peer_that_closed_breaks_the_pipe, *timeout(10)) {
  Writing writing(100);
  writing.fill();
  writing.writer.write("pending");
  writing.peer.close();
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { writing.stream.flush_now(); }));
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { writing.writer.flush(); }));
  Writing other(0);
  other.peer.close();
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { other.writer.write("x"); }));
}

BOOST_AUTO_TEST_CASE(what_is_collected_is_sent_by_the_flush_or_when_it_is_too_much, *timeout(10)) {
  Writing writing(0);
  writing.writer.set_buffer(10);
  writing.writer.write("12345");
  writing.writer.write("67890");
  std::byte none{};
  BOOST_TEST(!writing.peer.try_recv(std::span(&none, 1)));
  writing.writer.flush();
  BOOST_TEST(writing.read(10) == "1234567890");
  writing.writer.write("abc");
  writing.writer.write("defghijkl");
  BOOST_TEST(writing.read(12) == "abcdefghijkl");
}

BOOST_AUTO_TEST_CASE(bytes_and_chars_of_all_kinds_are_written, *timeout(10)) {
  Writing writing(0);
  writing.writer.write("a literal ");
  writing.writer.write(std::string("a string "));
  writing.writer.write(std::vector<char>{'c', 'h', 'a', 'r', 's', ' '});
  writing.writer.write(std::vector<std::byte>{std::byte{'b'}, std::byte{' '}});
  const std::array<char, 3> array{'e', 'n', 'd'};
  writing.writer.write(array);
  writing.writer.write(std::span(array).first(2));
  BOOST_TEST(writing.read(32) == "a literal a string chars b enden");
}
