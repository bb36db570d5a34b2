// What a handler can learn and change through its context, and programs that serve with
// `handle_request`, one event at a time.

#include <poll.h>
#include <unistd.h>

#include <string>

#include "support/server_test.hpp"

namespace {

// Answers with everything that the context reports.
struct Reporter : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    std::string text = "client " + context().client_address().to_string() + "\n";
    text += "client again " + client_address().to_string() + "\n";
    text += "peer " + request().getpeername().to_string() + "\n";
    text += "local " + context().local_address().to_string() + "\n";
    text += "server " + context().server_address().to_string() + "\n";
    text += context().stopping() ? "stopping\n" : "serving\n";
    text += "accepted " + std::to_string(context().stats().accepted) + "\n";
    text += "requests " + std::to_string(context().stats().requests) + "\n";
    wfile.write(text);
    return net::Next::close;
  }
};

// Shortens its own limit, and keeps the connection.
struct Impatient : net::StreamRequestHandler {
  void setup() override {
    net::Limits limits = context().limits();
    limits.idle = 60ms;
    context().set_limits(limits);
  }
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

// Detaches its connection from the server.
struct Leaving : net::StreamRequestHandler {
  Leaving(net::Socket& away, Gate& leaving) : taken(away), gone(leaving) {}
  net::Next handle() {
    rfile.read_some(1);
    wfile.write("taken ");
    taken = context().detach();
    if (context().detached() && rfile.buffered() == "bc") gone.open();
    return net::Next::keep;
  }
  net::Socket& taken;
  Gate& gone;
};

struct LeavingConversation : Leaving {
  using Leaving::Leaving;
  void handle() { Leaving::handle(); }
};

using Leavings = std::tuple<With<Leaving, net::ThreadPool>, With<Leaving, net::ThreadPerRequest>,
                            With<Leaving, net::Inline>, With<LeavingConversation, net::ThreadPool>,
                            With<LeavingConversation, net::ThreadPerRequest>,
                            With<LeavingConversation, net::Inline>>;

// Leaves its connection to a process that outlives the server's child.
struct LeavingToGrandchild : net::StreamRequestHandler {
  explicit LeavingToGrandchild(const Gate& opening) : released(opening) {}
  net::Next handle() {
    rfile.read_some();
    net::Socket taken = context().detach();
    if (::fork() == 0) {
      released.wait();
      taken.sendall(net::bytes("late"), 5s);
      taken.shutdown(net::ShutdownHow::both);
      ::_exit(0);
    }
    return net::Next::keep;
  }
  const Gate& released;
};

struct TimeOuts : net::ServerHooks {
  void handle_timeout() override { ++count; }
  int count = 0;
};

bool readable(const net::BaseServer& server, int milliseconds) {
  pollfd polled{server.fileno(), POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) == 1;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_context, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_knows_where_it_is, Policy, Policies) {
  net::TcpServer<Reporter, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  const std::string mine = client.socket.getsockname().to_string();
  const std::string its = server.server_address().to_string();
  client.send("?");
  BOOST_TEST(client.receive_all() == "client " + mine + "\nclient again " + mine + "\npeer " +
                                         mine + "\nlocal " + its + "\nserver " + its +
                                         "\nserving\naccepted 1\nrequests 1\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_sets_limits_of_its_own, Policy, Policies) {
  net::TcpServer<Impatient, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(client.sees_end());
  running.stop();
  BOOST_TEST(server.stats().closed_idle == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_detached_connection_is_an_ordinary_socket, Form, Leavings) {
  using Handler = typename Form::Handler;
  net::Socket taken;
  Gate gone;
  typename Form::Server server{loopback(), quick(), [&] { return Handler(taken, gone); }};
  Running running{server};
  Client client{server};
  client.send("abc");
  BOOST_TEST(gone.wait());
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
  running.stop();
  BOOST_TEST(client.receive(6) == "taken ");
  taken.sendall(net::bytes("still here"), 5s);
  BOOST_TEST(client.receive(10) == "still here");
  client.send("x");
  std::array<std::byte, 10> text{};
  BOOST_TEST(taken.recv(text) == 1U);
  BOOST_TEST(!taken.gettimeout().has_value());
  taken.close();
  BOOST_TEST(client.sees_end());
}

BOOST_AUTO_TEST_CASE(a_child_may_leave_its_connection_to_another_process, *timeout(20)) {
  Gate released;
  net::TcpServer<LeavingToGrandchild, net::ForkPerRequest> server{
      loopback(), quick(), [&] { return LeavingToGrandchild(released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
  released.open();
  BOOST_TEST(client.receive_all() == "late");
}

BOOST_AUTO_TEST_CASE(handle_request_waits_for_one_event_within_its_time, *timeout(20)) {
  TimeOuts hooks;
  net::ServerOptions options = quick();
  options.timeout = 50ms;
  net::TcpServer<Echo, net::Inline> server{loopback(), options, hooks};
  const auto begin = std::chrono::steady_clock::now();
  server.handle_request();
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= 50ms));
  BOOST_TEST(hooks.count == 1);
  Client client{server};
  client.send("hello");
  server.handle_request();  // accepts
  BOOST_TEST(server.stats().accepted == 1U);
  server.handle_request();  // serves
  BOOST_TEST(client.receive(5) == "hello");
  BOOST_TEST(hooks.count == 1);
  server.handle_request();
  BOOST_TEST(hooks.count == 2);
  server.server_close(5s);
  check_sum(server);
}

BOOST_AUTO_TEST_CASE(handle_request_accepts_one_at_a_time, *timeout(20)) {
  net::ServerOptions options = quick();
  options.timeout = 1s;
  net::TcpServer<Echo, net::ThreadPool> server{loopback(), options};
  const Client one{server};
  const Client two{server};
  server.handle_request();
  BOOST_TEST(server.stats().accepted == 1U);
  server.handle_request();
  BOOST_TEST(server.stats().accepted == 2U);
  server.server_close(5s);
  check_sum(server);
}

BOOST_AUTO_TEST_CASE(two_servers_fit_in_one_poll_loop, *timeout(20)) {
  net::ServerOptions options = quick();
  options.timeout = 0s;
  net::TcpServer<Echo, net::Inline> one{loopback(), options};
  net::TcpServer<Reporter, net::Inline> two{loopback(), options};
  BOOST_TEST(!readable(one, 0));
  BOOST_TEST(!readable(two, 0));
  Client client_one{one};
  client_one.send("hello");
  Client client_two{two};
  client_two.send("?");
  while (one.stats().requests + two.stats().requests < 2) {
    std::array<pollfd, 2> polled{{{one.fileno(), POLLIN, 0}, {two.fileno(), POLLIN, 0}}};
    BOOST_TEST_REQUIRE(::poll(polled.data(), 2, 10'000) > 0);
    if (polled[0].revents != 0) one.handle_request();
    if (polled[1].revents != 0) two.handle_request();
  }
  BOOST_TEST(client_one.receive(5) == "hello");
  BOOST_TEST(client_two.receive(6) == "client");
  client_two.end_sending();
  one.server_close(5s);
  two.server_close(5s);
  check_sum(one);
  check_sum(two);
}

BOOST_AUTO_TEST_SUITE_END()
