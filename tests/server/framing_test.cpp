// When a request is complete, and what an incomplete one costs.

#include <string>

#include "support/server_test.hpp"

namespace {

struct Block : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::length_prefixed<std::uint16_t>(received);
  }
  net::Next handle() {
    ++calls;
    wfile.write(rfile.buffered().substr(0, 2));
    const auto size = rfile.read_exactly(2);
    wfile.write(rfile.read_exactly(static_cast<std::size_t>(size[1])));
    return net::Next::keep;
  }
  int calls = 0;
};

// Does not search for the end of a line again.
struct Sized : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    wfile.write(std::to_string(context().request_size()) + ' ');
    wfile.write(rfile.read_exactly(context().request_size()));
    return net::Next::keep;
  }
};

struct Unframed : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(std::to_string(context().request_size()));
    rfile.read_some();
    return net::Next::keep;
  }
};

// Takes four bytes at a time, and leaves fewer in the buffer.
struct Picky : net::StreamRequestHandler {
  explicit Picky(std::atomic<int>& counter) : calls(counter) {}
  net::Next handle() {
    ++calls;
    if (rfile.buffered().size() >= 4) wfile.write(rfile.read_some());
    return net::Next::keep;
  }
  std::atomic<int>& calls;
};

// Counts all calls, and those that find no line.
struct Calls {
  std::atomic<int> begun{0};
  std::atomic<int> without_line{0};
};

// Reads more lines than have arrived: in each call as many as the first line has letters.
struct ReadsOn : net::StreamRequestHandler {
  explicit ReadsOn(Calls& counters) : calls(counters) {}
  net::Next handle() {
    ++calls.begun;
    if (rfile.buffered().find('\n') == std::string_view::npos) ++calls.without_line;
    std::size_t left = 0;
    do {
      const auto line = rfile.read_line();
      if (!line) return net::Next::close;
      if (left == 0) left = line->size() - 1;
      wfile.write(*line);
    } while (--left > 0);
    return net::Next::keep;
  }
  Calls& calls;
};
struct ReadsOnFramed : ReadsOn {
  using ReadsOn::ReadsOn;
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_framing, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(lines_that_come_together_are_answered_each, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("one\ntwo\n\nthree\n") == "one\ntwo\n\nthree\n");
  // The beginning of a line arrives together with the end of another.
  BOOST_TEST((client.send("four\nfi"), client.receive(5)) == "four\n");
  BOOST_TEST((client.send("ve\n"), client.receive(5)) == "five\n");
  BOOST_TEST(server.stats().requests == 6U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_line_may_come_byte_by_byte, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.socket.setsockopt(net::SocketOption::no_delay, 1);
  for (int i = 0; i < 3; ++i) {
    for (const char letter : std::string_view("hello\n")) client.send(std::string(1, letter));
    BOOST_TEST(client.receive(6) == "hello\n");
  }
  BOOST_TEST(server.stats().requests == 3U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(half_a_line_holds_no_worker, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick(), at_once<Policy>(1)};
  Running running{server};
  Client slow{server};
  slow.send("half");
  BOOST_TEST(soon([&] { return server.stats().accepted == 1; }));
  Client other{server};
  BOOST_TEST(other.ask("whole\n") == "whole\n");
  other.end_sending();
  BOOST_TEST(other.sees_end());
  BOOST_TEST(server.stats().requests == 1U);
  slow.send(" a line\n");
  BOOST_TEST(slow.receive(12) == "half a line\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_last_line_needs_no_terminator, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("one\nlast");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "one\nlast");
  running.stop();
  BOOST_TEST(server.stats().served == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(blocks_behind_their_length_are_gathered, Policy, Policies) {
  using namespace std::string_view_literals;
  net::TcpServer<Block, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("\0\5hel"sv);
  BOOST_TEST(soon([&] { return server.stats().accepted == 1; }));
  client.send("lo\0\0\0\1x"sv);
  BOOST_TEST((client.receive(12) == "\0\5hello\0\0\0\1x"sv));
  BOOST_TEST(server.stats().requests == 3U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(too_large_a_request_ends_its_connection_alone, Policy, Policies) {
  QuietHooks hooks;
  net::ServerOptions options = quick();
  options.max_request_size = 1000;
  net::TcpServer<LineEcho, Policy> server{loopback(), options, hooks};
  Running running{server};
  Client fits{server};
  const std::string line = pattern(999) + "\n";
  BOOST_TEST(fits.ask(line) == line);
  fits.end_sending();
  BOOST_TEST(fits.sees_end());
  Client greedy{server};
  greedy.send(pattern(1001));
  BOOST_TEST(greedy.is_closed());
  Client second{server};
  second.send(pattern(1000) + "\n");
  BOOST_TEST(second.is_closed());
  BOOST_TEST(Client(server).ask("still here\n") == "still here\n");
  running.stop();
  BOOST_TEST(server.stats().failed == 2U);
  BOOST_TEST(hooks.errors == 2);
  BOOST_TEST((hooks.phase == net::Phase::receive));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_handler_leaves_waits_for_more, Policy, Policies) {
  const Shared<std::atomic<int>> calls;
  net::TcpServer<Picky, Policy> server{loopback(), quick(), [&] { return Picky(*calls); }};
  Running running{server};
  Client client{server};
  client.socket.setsockopt(net::SocketOption::no_delay, 1);
  client.send("a");
  BOOST_TEST(soon([&] { return *calls == 1; }));
  // A server that spins would call the handler again at once.
  std::this_thread::sleep_for(50ms);
  BOOST_TEST(*calls == 1);
  client.send("b");
  BOOST_TEST(soon([&] { return *calls == 2; }));
  client.send("cd");
  BOOST_TEST(client.receive(4) == "abcd");
  BOOST_TEST(*calls == 3);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_that_leaves_as_much_as_it_found_has_taken_something, Policy,
                              Policies) {
  const Shared<Calls> calls;
  net::TcpServer<ReadsOn, Policy> server{loopback(), quick(), [&] { return ReadsOn(*calls); }};
  Running running{server};
  Client client{server};
  client.send("a");
  BOOST_TEST(soon([&] { return calls->begun == 1; }));
  // The handler waits for the rest of the line, and one more byte arrives after it.
  client.send("\nb");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "a\nb");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_framed_handler_that_reads_on_is_called_for_whole_requests, Policy,
                              Policies) {
  const Shared<Calls> calls;
  net::TcpServer<ReadsOnFramed, Policy> server{loopback(), quick(),
                                               [&] { return ReadsOnFramed(*calls); }};
  Running running{server};
  Client client{server};
  // The first call takes both requests, and waits for a third line. It leaves "half", which is as
  // long as "two" and at the same position.
  client.send("one\ntwo\n");
  BOOST_TEST(soon([&] { return calls->begun == 1; }));
  BOOST_TEST(client.receive(8) == "one\ntwo\n");
  client.send("six\nhalf");
  BOOST_TEST(client.receive(4) == "six\n");
  client.send("\n1\n2\n3\n");
  BOOST_TEST(client.receive(11) == "half\n1\n2\n3\n");
  BOOST_TEST(calls->without_line == 0);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_is_told_how_long_its_request_is, Policy, Policies) {
  net::TcpServer<Sized, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("one\nthree\nhalf");
  BOOST_TEST(client.receive(14) == "4 one\n6 three\n");
  client.send(" a line\n");
  BOOST_TEST(client.receive(15) == "12 half a line\n");
  net::TcpServer<Unframed, Policy> unframed{loopback(), quick()};
  Running other{unframed};
  Client asks{unframed};
  asks.send("hello");
  BOOST_TEST(asks.receive(1) == "0");
}

BOOST_AUTO_TEST_SUITE_END()
