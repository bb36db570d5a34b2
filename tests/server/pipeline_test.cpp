// Requests that arrive together: how many sends and turns their answers take, and in which order.

#include <dlfcn.h>
#include <sys/socket.h>

#include <string>

#include "support/server_test.hpp"

namespace {

// Counts for this process and its children: how often they sent to a connection, and received from
// one.
struct Calls {
  std::atomic<int> sends{0};
  std::atomic<int> receives{0};
};
Calls& calls() {
  static const Shared<Calls> shared;
  return *shared;
}

}  // namespace

// Replace the functions of the C library, and count the server's calls, which do not wait.
extern "C" ssize_t send(int descriptor, const void* data, size_t size, int flags) {
  static const auto real = reinterpret_cast<decltype(&::send)>(::dlsym(RTLD_NEXT, "send"));
  if (flags == (MSG_DONTWAIT | MSG_NOSIGNAL)) ++calls().sends;
  return real(descriptor, data, size, flags);
}

extern "C" ssize_t recv(int descriptor, void* data, size_t size, int flags) {
  static const auto real = reinterpret_cast<decltype(&::recv)>(::dlsym(RTLD_NEXT, "recv"));
  if (flags == MSG_DONTWAIT && size > 1000) ++calls().receives;
  return real(descriptor, data, size, flags);
}

namespace {

// Sends with a call that is not counted.
void put(const Client& client, std::string_view text) {
  BOOST_REQUIRE(::send(client.socket.fileno(), text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
}

// An echo without framing: any bytes are a request.
struct UnframedLineEcho : net::StreamRequestHandler {
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line) wfile.write(*line);
    return line ? net::Next::keep : net::Next::close;
  }
};

// Sets a deadline amid two requests of a client that has left meanwhile.
struct Punctual : net::StreamRequestHandler {
  explicit Punctual(const Gate& leaving) : left(leaving) {}
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    left.wait();
    context().set_deadline(5s);
    wfile.write(rfile.read_line().value_or(""));
    return net::Next::keep;
  }
  const Gate& left;
};

// Does what the line names.
struct Actor : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    const std::size_t size = net::line(received);
    if (size > 0 && received[0] == std::byte{'!'}) throw std::runtime_error("no request");
    return size;
  }
  Actor(Gate& gate, std::atomic<int>& shared) : opening(gate), handled(shared) {}
  net::Next handle() {
    const std::string line(rfile.read_line().value_or("close\n"));
    if (line == "close\n") return net::Next::close;
    if (line == "throw\n") throw std::runtime_error("thrown");
    ++handled;
    wfile.write(line);
    if (line == "flush\n") {
      wfile.flush();
      opening.wait();
    }
    if (line == "wait\n") opening.wait();
    if (line == "read\n") wfile.write(rfile.read_exactly(10));
    if (line == "socket\n") request().sendall(net::bytes("itself\n"));
    if (line == "detach\n") {
      net::Socket mine = context().detach();
      mine.sendall(net::bytes("mine\n"));
    }
    if (line == "large\n") wfile.write(pattern(100'000));
    if (line == "sleep\n") std::this_thread::sleep_for(50ms);
    return net::Next::keep;
  }
  void finish() override {
    if (!context().detached()) wfile.write("bye\n");
  }
  Gate& opening;
  std::atomic<int>& handled;
};

template <class P>
struct Acting {
  Acting()
      : server(loopback(), quick(), hooks, at_once<P>(1),
               [this] { return Actor(opening, *handled); }),
        running(server) {}
  Gate opening;
  const Shared<std::atomic<int>> handled;
  QuietHooks hooks;
  net::TcpServer<Actor, P> server;
  Running running;
};

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

using LineEchoes =
    std::tuple<With<LineEcho, net::ThreadPool>, With<LineEcho, net::ThreadPerRequest>,
               With<LineEcho, net::ForkPerRequest>, With<LineEcho, net::Inline>,
               With<UnframedLineEcho, net::ThreadPool>, With<UnframedLineEcho, net::ForkPerRequest>,
               With<UnframedLineEcho, net::Inline>>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_pipeline, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(answers_to_requests_that_came_together_go_together, Form,
                              LineEchoes) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("first\n") == "first\n");
  // The clock may tick in between, but not each time.
  int fewest = 1000;
  int fewest_receives = 1000;
  for (int turn = 0; turn < 20; ++turn) {
    calls().sends = calls().receives = 0;
    const std::string text = lines(16);
    put(client, text);
    BOOST_TEST(client.receive(text.size()) == text);
    fewest = std::min<int>(fewest, calls().sends);
    fewest_receives = std::min<int>(fewest_receives, calls().receives);
  }
  BOOST_TEST(fewest == 1);
  // The client's own receives are counted too, if they are large.
  BOOST_TEST(fewest_receives <= 2);
  BOOST_TEST(server.stats().requests == 1U + 20 * 16);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_long_pipeline_loses_and_swaps_nothing, Form, LineEchoes) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client client{server};
  const std::string text = lines(20'000);
  std::thread sender([&] {
    // Most of these pieces end in the middle of a line.
    for (std::size_t at = 0; at < text.size(); at += 7777) client.send(text.substr(at, 7777));
  });
  BOOST_TEST((client.receive(text.size()) == text));
  sender.join();
  BOOST_TEST(server.stats().requests >= 20'000U);
  BOOST_TEST(calls().sends < 20'000);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_lone_request_is_answered_inside_of_its_handler, Policy, Policies) {
  Acting<Policy> acting;
  Client client{acting.server};
  put(client, "wait\n");
  // The answer arrives although the handler has not returned.
  BOOST_TEST(client.receive(5) == "wait\n");
  // Part of the next request does not hold back the answer either.
  acting.opening.open();
  Acting<Policy> other;
  Client second{other.server};
  put(second, "wait\nhal");
  BOOST_TEST(second.receive(5) == "wait\n");
  other.opening.open();
  put(second, "f\n");
  BOOST_TEST(second.receive(5) == "half\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_flush_sends_what_was_held, Policy, Policies) {
  Acting<Policy> acting;
  Client client{acting.server};
  put(client, "one\nflush\nthree\n");
  BOOST_TEST(client.receive(10) == "one\nflush\n");
  acting.opening.open();
  BOOST_TEST(client.receive(6) == "three\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_held_goes_before_the_handler_waits_for_input, Policy,
                              Policies) {
  Acting<Policy> acting;
  Client client{acting.server};
  put(client, "one\nread\n");
  BOOST_TEST(client.receive(9) == "one\nread\n");
  put(client, "0123456789");
  BOOST_TEST(client.receive(10) == "0123456789");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_unframed_handler_that_waits_for_input_holds_nothing, Policy,
                              Policies) {
  net::TcpServer<UnframedLineEcho, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  put(client, "one\ntwo\nthr");
  BOOST_TEST(client.receive(8) == "one\ntwo\n");
  put(client, "ee\n");
  BOOST_TEST(client.receive(6) == "three\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_overtakes_what_is_held, Policy, Policies) {
  Acting<Policy> acting;
  Client client{acting.server};
  put(client, "one\nsocket\nthree\nlarge\nfive\n");
  const std::string answers = "one\nsocket\nitself\nthree\nlarge\n" + pattern(100'000) + "five\n";
  BOOST_TEST((client.receive(answers.size()) == answers));
  put(client, "six\ndetach\neight\n");
  BOOST_TEST(client.receive_all() == "six\ndetach\nmine\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_end_in_the_middle_sends_what_was_answered, Policy, Policies) {
  for (const auto& [asked, answered, handled] :
       {std::tuple("1\n2\nclose\n4\n5\n", "1\n2\nbye\n", 2),
        std::tuple("1\n2\nthrow\n4\n5\n", "1\n2\nbye\n", 2),
        std::tuple("1\n2\n!\n4\n5\n", "1\n2\nbye\n", 2)}) {
    Acting<Policy> acting;
    Client client{acting.server};
    // More bytes arrive than are read; closing must not reset the connection.
    put(client, asked + lines(10'000));
    BOOST_TEST(client.receive_all() == answered);
    BOOST_TEST(*acting.handled == handled);
    acting.running.stop();
    BOOST_TEST(acting.server.stats().requests == (asked[4] == '!' ? 2U : 3U));
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_slow_handler_does_not_hold_its_answer_for_the_next, Policy,
                              Policies) {
  Acting<Policy> acting;
  Client client{acting.server};
  put(client, "sleep\nwait\nlast\n");
  // The first answer arrives although the next handler has not returned.
  BOOST_TEST(client.receive(6) == "sleep\n");
  acting.opening.open();
  BOOST_TEST(client.receive(10) == "wait\nlast\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(each_request_is_framed_once, Policy, ThreadPolicies) {
  static std::atomic<int> framings;
  static std::atomic<int> not_whole;
  struct Counting : LineEcho {
    static std::size_t request_size(std::span<const std::byte> received) {
      ++framings;
      return net::line(received);
    }
    net::Next handle() {
      if (rfile.buffered().find('\n') == std::string_view::npos) ++not_whole;
      return LineEcho::handle();
    }
  };
  framings = not_whole = 0;
  net::TcpServer<Counting, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  int sent = 0;
  for (const int count : {16, 1, 16, 15, 40, 2, 17}) {
    put(client, lines(count));
    BOOST_TEST(client.receive(lines(count).size()) == lines(count));
    sent += count;
    BOOST_TEST(framings == sent);
  }
  client.end_sending();
  BOOST_TEST(client.sees_end());
  BOOST_TEST(not_whole == 0);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_small_write_buffer_bounds_what_is_held, Policy, Policies) {
  for (const std::size_t size : {0U, 10U, 100U}) {
    net::ServerOptions options = quick();
    options.write_buffer = size;
    net::TcpServer<LineEcho, Policy> server{loopback(), options};
    Running running{server};
    Client client{server};
    put(client, lines(1000));
    BOOST_TEST((client.receive(lines(1000).size()) == lines(1000)));
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_deadline_may_be_set_though_the_client_has_left, Policy, Policies) {
  QuietHooks hooks;
  Gate left;
  net::TcpServer<Punctual, Policy> server{loopback(), quick(), hooks, at_once<Policy>(1),
                                          [&] { return Punctual(left); }};
  Running running{server};
  Client client{server};
  put(client, lines(3));
  BOOST_TEST(soon([&] { return server.stats().requests == 1; }));  // all lines came with the first
  client.reset();
  left.open();
  BOOST_TEST(soon([&] { return server.load().connections == 0; }));
}

BOOST_AUTO_TEST_SUITE_END()
