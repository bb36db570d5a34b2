// Conversations whose input the server ends: during its drain, or because a new client needs the
// slot.

#include <sys/socket.h>

#include <list>
#include <string>
#include <thread>

#include "support/server_test.hpp"

namespace {

constexpr std::size_t large = 3'000'000;

// Echoes lines. At the end of the stream, sends a farewell that its client takes a while to
// receive.
struct LongFarewell : net::StreamRequestHandler {
  void handle() {
    while (const auto line = rfile.read_line()) wfile.write(*line);
    wfile.write(pattern(large));
  }
};

// Waits in the middle of its request.
struct TwoLines : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    rfile.read_line();
    wfile.write("and?\n");
    wfile.write(rfile.read_line() ? "thanks" : "farewell");
    return net::Next::close;
  }
};

// Lets the library read first, then detaches the connection.
struct Detaching : net::StreamRequestHandler {
  explicit Detaching(std::atomic<long>& timeout) : seconds(timeout) {}
  void handle() {
    rfile.read_line();
    const net::Socket taken = context().detach();
    timeval time{.tv_sec = 1, .tv_usec = 0};
    socklen_t size = sizeof time;
    ::getsockopt(taken.fileno(), SOL_SOCKET, SO_RCVTIMEO, &time, &size);
    seconds = time.tv_sec;
  }
  std::atomic<long>& seconds;
};

// A policy that runs everything in the serving thread, to its end.
struct Held {
  struct Options {};
  Held(Options, net::PolicyContext&) {}
  static void process(net::Request request) { request.run(); }
  static net::DrainReport drain(net::Deadline) { return {}; }
};

using PoliciesAndHeld =
    std::tuple<net::ThreadPool, net::ThreadPerRequest, net::ForkPerRequest, net::Inline, Held>;

// Options of a policy with one slot, which evicts the connection that has been silent for longest.
template <class P>
typename P::Options one_place() {
  typename P::Options options = at_once<P>(1);
  options.overload = net::Overload::evict_idle;
  return options;
}

// On a busy machine, such a client takes longer than the lingering of `quick` to send all of it.
net::ServerOptions lingering() {
  net::ServerOptions options = quick();
  options.linger = 2s;
  return options;
}

// A client that goes on sending while it receives the farewell, and must get all of it.
void speaks_at_the_end(Client& client, const std::string& echoed) {
  std::string got = client.receive(1);
  for (int i = 0; i < 5; ++i) {
    client.send("more\n");
    std::this_thread::sleep_for(20ms);
  }
  client.socket.shutdown(net::ShutdownHow::write);  // the server need not linger any longer
  got += client.receive(echoed.size() + large - 1);
  BOOST_TEST((got == echoed + pattern(large)));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_conversation, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_drain_loses_nothing_of_a_long_farewell, Policy, PoliciesAndHeld) {
  net::TcpServer<LongFarewell, Policy> server{loopback(), lingering()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  net::DrainReport report;
  std::jthread closing([&] { report = server.server_close(10s); });
  speaks_at_the_end(client, "");
  closing.join();
  BOOST_TEST((report == net::DrainReport{.drained = 1}));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_eviction_loses_nothing_of_a_long_farewell, Policy, Concurrent) {
  net::TcpServer<LongFarewell, Policy> server{loopback(), lingering(), one_place<Policy>()};
  Running running{server};
  Client silent{server};
  BOOST_TEST(silent.ask("hello\n") == "hello\n");
  Client next{server};
  speaks_at_the_end(silent, "");
  BOOST_TEST(next.ask("hello\n") == "hello\n");
  BOOST_TEST(soon([&] { return server.stats().shed_evicted == 1; }));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_conversation_that_goes_on_is_not_ended_by_the_drain, Policy,
                              PoliciesAndHeld) {
  net::ServerOptions options = quick();
  options.quiet_grace = 300ms;
  net::TcpServer<LongFarewell, Policy> server{loopback(), options};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  std::jthread closing([&] { server.server_close(10s); });
  for (int i = 0; i < 25; ++i) {
    BOOST_TEST(client.ask("hello\n") == "hello\n");
    std::this_thread::sleep_for(20ms);
  }
  BOOST_TEST((client.receive_all() == pattern(large)));
  closing.join();
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_that_waits_for_its_rest_sees_the_end_in_a_drain, Policy,
                              Policies) {
  net::TcpServer<TwoLines, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("one\n").size() == 4U);
  BOOST_TEST(client.receive(1) == "\n");
  const auto begin = std::chrono::steady_clock::now();
  std::jthread closing([&] { server.server_close(10s); });
  BOOST_TEST(client.receive_all() == "farewell");
  closing.join();
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 5s));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_silent_unix_conversation_sees_the_end_in_a_drain, Policy,
                              Policies) {
  const ScratchDirectory scratch;
  net::UnixStreamServer<LongFarewell, Policy> server{
      net::Address::unix_path(scratch.path("socket")), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  net::DrainReport report;
  std::jthread closing([&] { report = server.server_close(10s); });
  BOOST_TEST((client.receive_all() == pattern(large)));
  closing.join();
  BOOST_TEST((report == net::DrainReport{.drained = 1}));
}

using Threads = std::tuple<net::ThreadPool, net::ThreadPerRequest>;

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(whoever_can_be_evicted_needs_no_descriptor_for_it, Policy, Threads) {
  typename Policy::Options policy = at_once<Policy>(20);
  policy.overload = net::Overload::evict_idle;
  net::TcpServer<EchoConversation, Policy> server{loopback(), quick(), policy};
  Running running{server};
  const std::size_t before = open_descriptors().size();
  std::list<Client> clients;
  for (int i = 0; i < 10; ++i) BOOST_TEST(clients.emplace_back(server).ask("hello") == "hello");
  // This process has both ends of each connection.
  BOOST_TEST(open_descriptors().size() == before + 20);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_conversation_leaves_no_timeout_on_what_it_detaches, Policy,
                              ThreadPolicies) {
  std::atomic<long> seconds{-1};
  net::TcpServer<Detaching, Policy> server{loopback(), quick(), [&] { return Detaching(seconds); }};
  Running running{server};
  Client client{server};
  client.send("hello\n");
  BOOST_TEST(client.is_closed());
  BOOST_TEST(seconds == 0);
}

BOOST_AUTO_TEST_SUITE_END()
