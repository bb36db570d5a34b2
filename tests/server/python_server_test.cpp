// What CPython's own tests of socketserver (Lib/test/test_socketserver.py) require, of each server
// there with each mix-in, and of ours. docs/python.md lists which case covers which of those tests.

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/server_test.hpp"

namespace {

// A server of Python's, with the policy that is a mix-in there.
template <template <class, class> class S, class P, net::Family family, bool has_connections>
struct Row {
  using Policy = P;
  using Base =
      std::conditional_t<has_connections, net::StreamRequestHandler, net::DatagramRequestHandler>;
  template <class H>
  using Server = S<H, P>;

  // A client of the server's kind sends the text, and returns all of the answer.
  static std::string ask(const net::BaseServer& server, std::string_view text) {
    if constexpr (has_connections) {
      Client client(server);
      client.send(text);
      client.end_sending();
      return client.receive_all();
    } else {
      return DatagramClient(server).ask(text);
    }
  }
  // Sends a request that is not answered. A client with a connection waits for its end.
  static void say(const net::BaseServer& server, std::string_view text) {
    if constexpr (has_connections) {
      BOOST_TEST(ask(server, text).empty());
    } else {
      DatagramClient(server).send(text);
    }
  }
  // Returns an address for a server: a port that the system picks, or a new path.
  static net::Address address(const ScratchDirectory& scratch) {
    return family == net::Family::ipv4 ? loopback()
                                       : net::Address::unix_path(scratch.path("socket"));
  }
};
template <class P>
using Rows = std::tuple<Row<net::TcpServer, P, net::Family::ipv4, true>,
                        Row<net::UdpServer, P, net::Family::ipv4, false>,
                        Row<net::UnixStreamServer, P, net::Family::unix_domain, true>,
                        Row<net::UnixDatagramServer, P, net::Family::unix_domain, false>>;
template <class... P>
using AllRows = decltype(std::tuple_cat(Rows<P>()...));

// Python's twelve servers, and four with the policy that Python does not have.
using All = AllRows<net::Inline, net::ThreadPerRequest, net::ForkPerRequest, net::ThreadPool>;
using Threading = Rows<net::ThreadPerRequest>;
using Forking = Rows<net::ForkPerRequest>;

// Python's names are aliases of our classes.
using S = net::StreamRequestHandler;
using D = net::DatagramRequestHandler;
template <class Base>
struct LineBack : Base {
  void handle() {
    if (const auto line = this->rfile.read_line()) this->wfile.write(*line);
  }
};
using OfStream = LineBack<S>;
using OfDatagram = LineBack<D>;
template <class A, class B>
constexpr bool same = std::is_same_v<A, B>;
using Threads = net::ThreadPerRequest;
using Forks = net::ForkPerRequest;
static_assert(same<net::ThreadingTcpServer<OfStream>, net::TcpServer<OfStream, Threads>>);
static_assert(same<net::ForkingTcpServer<OfStream>, net::TcpServer<OfStream, Forks>>);
static_assert(same<net::ThreadingUdpServer<OfDatagram>, net::UdpServer<OfDatagram, Threads>>);
static_assert(same<net::ForkingUdpServer<OfDatagram>, net::UdpServer<OfDatagram, Forks>>);
static_assert(
    same<net::ThreadingUnixStreamServer<OfStream>, net::UnixStreamServer<OfStream, Threads>>);
static_assert(same<net::ForkingUnixStreamServer<OfStream>, net::UnixStreamServer<OfStream, Forks>>);
static_assert(same<net::ThreadingUnixDatagramServer<OfDatagram>,
                   net::UnixDatagramServer<OfDatagram, Threads>>);
static_assert(
    same<net::ForkingUnixDatagramServer<OfDatagram>, net::UnixDatagramServer<OfDatagram, Forks>>);

// Fails in the way that its request names.
template <class Base>
struct Failing : Base {
  void handle() {
    const auto how = this->rfile.read_some();
    if (how == "error") throw std::invalid_argument("thrown by a test");
    if (how == "anything") throw 3;
    if (how == "exit") ::_exit(3);
    this->wfile.write("served");
  }
};

// Counts errors, in children too.
struct Handled : net::ServerHooks {
  void handle_error(const net::RequestError& error) override {
    ++(error.what() == "thrown by a test" ? *errors : *others);
  }
  Shared<std::atomic<int>> errors;
  Shared<std::atomic<int>> others;
};

// Refuses the first request.
struct RefuseOnce : net::ServerHooks {
  bool verify_request(const net::Socket&, const net::Address&) override { return calls++ > 0; }
  int calls = 0;
};

std::size_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

constexpr std::string_view hello = "hello world\n";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(python_server, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(three_clients_in_turn_get_their_line_back, R, All) {
  const ScratchDirectory scratch;
  const pid_t foreign = ::fork();
  if (foreign == 0) ::_exit(72);
  typename R::template Server<LineBack<typename R::Base>> server{R::address(scratch), quick()};
  std::thread serving([&] { server.serve_forever(10ms); });
  for (int i = 0; i < 3; ++i) BOOST_TEST(R::ask(server, hello) == hello);
  server.shutdown();
  serving.join();
  server.server_close();
  BOOST_TEST(server.fileno() == -1);
  check_sum(server);
  BOOST_TEST(server.stats().served == 3U);
  if constexpr (requires { server.policy().children(); }) {
    BOOST_TEST(server.policy().children() == 0U);
  }
  // A child that the server did not make is left to the code that made it.
  int status = 0;
  BOOST_TEST(::waitpid(foreign, &status, 0) == foreign);
  BOOST_TEST(WEXITSTATUS(status) == 72);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_shutdown_may_come_before_the_loop, R, All) {
  for (int i = 0; i < 20; ++i) {
    const ScratchDirectory scratch;
    typename R::template Server<LineBack<typename R::Base>> server{R::address(scratch), quick()};
    std::thread serving([&] { server.serve_forever(10ms); });
    server.shutdown();
    serving.join();
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_closes_that_never_served, R, All) {
  const ScratchDirectory scratch;
  typename R::template Server<LineBack<typename R::Base>> server{R::address(scratch), quick()};
  BOOST_TEST((server.server_close() == net::DrainReport{}));
}

BOOST_TEST_DECORATOR(*timeout(50))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_bind_that_fails_leaks_nothing, R, All) {
  const ScratchDirectory scratch;
  using Server = typename R::template Server<LineBack<typename R::Base>>;
  Server server{R::address(scratch), quick()};
  const auto before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    BOOST_CHECK_THROW((Server{server.server_address(), quick()}), std::system_error);
  }
  BOOST_TEST((open_descriptors() == before));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_is_closed_at_the_end_of_its_block, R, All) {
  const ScratchDirectory scratch;
  net::Address address = R::address(scratch);
  const auto before = open_descriptors();
  for (int i = 0; i < 2; ++i) {
    typename R::template Server<LineBack<typename R::Base>> server{address, quick()};
    address = server.server_address();
  }
  BOOST_TEST((open_descriptors() == before));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(whatever_a_handler_throws_is_handled, R, All) {
  const ScratchDirectory scratch;
  Handled hooks;
  typename R::template Server<Failing<typename R::Base>> server{R::address(scratch), quick(),
                                                                hooks};
  Running running(server);
  R::say(server, "error");
  R::say(server, "anything");
  BOOST_TEST(soon([&] { return server.stats().failed == 2; }));
  BOOST_TEST(*hooks.errors == 1);
  BOOST_TEST(*hooks.others == 1);
  BOOST_TEST(R::ask(server, "well") == "served");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_child_that_exits_ends_nobody_else, R, Forking) {
  const ScratchDirectory scratch;
  Handled hooks;
  typename R::template Server<Failing<typename R::Base>> server{R::address(scratch), quick(),
                                                                hooks};
  Running running(server);
  R::say(server, "exit");
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
  BOOST_TEST(server.stats().failed == 1U);
  BOOST_TEST(*hooks.errors == 0);
  BOOST_TEST(R::ask(server, "well") == "served");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_is_refused_is_closed_once, R, All) {
  const ScratchDirectory scratch;
  RefuseOnce hooks;
  typename R::template Server<LineBack<typename R::Base>> server{R::address(scratch), quick(),
                                                                 hooks};
  Running running(server);
  R::say(server, hello);
  BOOST_TEST(soon([&] { return server.stats().refused == 1; }));
  BOOST_TEST(R::ask(server, hello) == hello);
  running.stop();
  BOOST_TEST(server.stats().refused == 1U);
  BOOST_TEST(server.stats().requests == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(threads_end_with_their_requests, R, Threading) {
  const ScratchDirectory scratch;
  typename R::template Server<LineBack<typename R::Base>> server{R::address(scratch), quick(),
                                                                 Threads::Options{.keep = 0ms}};
  const std::size_t before = threads();
  Running running(server);
  for (int i = 0; i < 10; ++i) BOOST_TEST(R::ask(server, hello) == hello);
  BOOST_TEST(soon([&] { return threads() <= before + 1; }));
}

BOOST_AUTO_TEST_SUITE_END()
