// A process for each connection: what the child inherits, and how it may end.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using Forking = net::ForkPerRequest;

// Counts the sockets of this process that are bound to one of two ports.
int sockets_of(std::uint16_t one, std::uint16_t other) {
  int count = 0;
  for (const int descriptor : open_descriptors()) {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0) continue;
    if (name.sin_family != AF_INET) continue;
    const std::uint16_t port = ntohs(name.sin_port);
    if (port == one || port == other) ++count;
  }
  return count;
}

// Answers with the number of its sockets of two servers, and keeps the connection.
struct Telling : net::StreamRequestHandler {
  explicit Telling(std::uint16_t another) : other(another) {}
  net::Next handle() {
    rfile.read_some();
    wfile.write(std::to_string(sockets_of(context().server_address().port(), other)));
    return net::Next::keep;
  }
  std::uint16_t other;
};

// Answers which of the program's files are open, and how many sockets of its server.
struct Listing : net::StreamRequestHandler {
  explicit Listing(const std::set<int>& descriptors) : files(descriptors) {}
  net::Next handle() {
    rfile.read_some();
    const auto is_open = [](int file) { return ::fcntl(file, F_GETFD) >= 0; };
    const auto open = std::ranges::count_if(files, is_open);
    const int sockets = sockets_of(context().server_address().port(), 0);
    wfile.write(std::to_string(open) + " of " + std::to_string(files.size()) + " files, " +
                std::to_string(sockets) + " socket of the server");
    return net::Next::close;
  }
  const std::set<int>& files;
};

struct Crashing : net::StreamRequestHandler {
  net::Next handle() {
    const std::string how(rfile.read_some());
    for (const int signal : {SIGABRT, SIGSEGV}) std::signal(signal, SIG_DFL);
    if (how == "abort") std::abort();
    if (how == "fault") std::raise(SIGSEGV);
    if (how == "killed") std::raise(SIGKILL);
    if (how == "exit") ::_exit(0);
    wfile.write(how);
    return net::Next::keep;
  }
};

struct WhoAmI : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write(std::to_string(::getpid()) + "\n");
    return net::Next::keep;
  }
};

// Gives its socket away in one of several ways, and keeps the connection.
enum class Way : std::uint8_t { closes, detaches_and_closes, moves_and_closes, replaces };

struct Leaving : net::StreamRequestHandler {
  Leaving(Way which, const Gate& opening) : way(which), released(opening) {}
  net::Next handle() {
    wfile.write(rfile.read_some());
    net::Socket other;
    switch (way) {
      case Way::closes: request().close(); break;
      case Way::detaches_and_closes: static_cast<void>(context().detach()); break;
      case Way::moves_and_closes: static_cast<void>(net::Socket(std::move(request()))); break;
      case Way::replaces: request() = net::socket_pair().first; break;
    }
    released.wait();
    return net::Next::keep;
  }
  const Way way;
  const Gate& released;
};

struct LeavingConversation : Leaving {
  using Leaving::Leaving;
  void handle() { static_cast<void>(Leaving::handle()); }
};

using LeavingForms = std::tuple<Leaving, LeavingConversation>;

// Prints without flushing.
struct Printing : net::StreamRequestHandler {
  net::Next handle() {
    const std::string text(rfile.read_some());
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (text == "two ") context().shutdown();
    return net::Next::close;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_fork_child, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_child_has_one_socket_of_all_servers, *timeout(20)) {
  net::TcpServer<Echo> other{loopback(), quick()};
  Running other_running{other};
  Client elsewhere{other};
  BOOST_TEST(elsewhere.ask("hello") == "hello");
  const std::uint16_t port = other.server_address().port();
  net::TcpServer<Telling, Forking> server{loopback(), quick(), [port] { return Telling(port); }};
  Running running{server};
  Client silent{server};
  BOOST_TEST(soon([&] { return server.stats().parked == 1; }));
  Client first{server};
  first.send("x");
  BOOST_TEST(first.receive(1) == "1");
  Client second{server};
  second.send("x");
  BOOST_TEST(second.receive(1) == "1");
  BOOST_TEST(sockets_of(port, server.server_address().port()) > 4);
}

// The descriptors of the program and of the server have numbers in mixed order.
BOOST_AUTO_TEST_CASE(a_child_keeps_what_is_the_programs, *timeout(20)) {
  std::vector<std::unique_ptr<Client>> clients;
  std::set<int> of_program;
  net::TcpServer<Listing, Forking> server{loopback(), quick(), [&] { return Listing(of_program); }};
  Running running{server};
  std::vector<net::Descriptor> files;
  const auto open_file = [&] {
    of_program.insert(files.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get());
  };
  const int runs = 5;
  for (int run = 0; run < runs; ++run) {
    open_file();
    for (int i = 0; i <= run; ++i) {
      clients.push_back(std::make_unique<Client>(server));
      BOOST_TEST(soon([&] { return server.stats().parked == clients.size(); }));
    }
  }
  // This file gets a number that the server has given back.
  clients.front()->end_sending();
  BOOST_TEST(clients.front()->sees_end());
  open_file();
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
  open_file();
  Client asking{server};
  asking.send("x");
  BOOST_TEST(asking.receive_all() == "7 of 7 files, 1 socket of the server");
}

BOOST_AUTO_TEST_CASE(a_crashed_child_is_a_failed_connection, *timeout(20)) {
  net::TcpServer<Crashing, Forking> server{loopback(), quick()};
  Running running{server};
  for (const char* const how : {"abort", "fault", "killed", "exit"}) {
    Client unlucky{server};
    unlucky.send(how);
    BOOST_TEST(unlucky.is_closed());
  }
  Client fresh{server};
  BOOST_TEST(fresh.ask("still here") == "still here");
  BOOST_TEST(server.stats().failed == 4U);
  fresh.end_sending();
  BOOST_TEST(fresh.sees_end());
  running.stop();
  BOOST_TEST(server.stats().failed == 4U);
  BOOST_TEST(server.stats().served == 1U);
}

// The child inherits the buffer with the text that the program printed before.
BOOST_AUTO_TEST_CASE(what_a_child_prints_appears_once_and_nothing_else_twice, *timeout(20)) {
  const ScratchDirectory scratch;
  const std::string output = scratch.path("output");
  const Shared<std::atomic<std::uint16_t>> port;
  Gate made;
  support::Forked program([&] {
    if (std::freopen(output.c_str(), "w", stdout) == nullptr) return 1;
    std::setvbuf(stdout, nullptr, _IOFBF, 4096);
    std::fputs("program ", stdout);
    net::TcpServer<Printing, Forking> server{loopback(), quick()};
    *port = server.server_address().port();
    made.open();
    server.serve_forever();
    server.server_close(5s);
    return std::fflush(stdout);
  });
  BOOST_TEST_REQUIRE(made.wait());
  for (const char* const text : {"one ", "two "}) {
    Client client{net::Address{"127.0.0.1", *port}};
    client.send(text);
    BOOST_TEST(client.sees_end());
  }
  BOOST_TEST(program.status() == 0);
  std::ostringstream printed;
  printed << std::ifstream(output).rdbuf();
  BOOST_TEST(printed.str() == "one two program ");
}

BOOST_AUTO_TEST_CASE(a_connection_keeps_its_child, *timeout(20)) {
  net::TcpServer<WhoAmI, Forking> server{loopback(), quick()};
  Running running{server};
  const auto ask = [](Client& client) {
    client.send("?");
    std::string answer;
    while (!answer.ends_with('\n')) answer += client.receive(1);
    return answer;
  };
  Client one{server};
  const std::string first = ask(one);
  BOOST_TEST(ask(one) == first);
  Client two{server};
  BOOST_TEST(ask(two) != first);
  BOOST_TEST(first != std::to_string(::getpid()) + "\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_sees_the_end_when_the_handler_closes, Handler,
                              LeavingForms) {
  for (const Way way :
       {Way::closes, Way::detaches_and_closes, Way::moves_and_closes, Way::replaces}) {
    BOOST_TEST_CONTEXT("way " << static_cast<int>(way)) {
      Gate released;
      net::TcpServer<Handler, Forking> server{loopback(), quick(),
                                              [&] { return Handler(way, released); }};
      Running running{server};
      std::vector<std::unique_ptr<Client>> clients;
      for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(server));
        clients.back()->send("hello");
      }
      for (const auto& client : clients) {
        client->socket.settimeout(1s);
        BOOST_TEST(client->receive_all() == "hello");
      }
      BOOST_TEST(server.stats().active == 3U);
      released.open();
      BOOST_TEST(soon([&] { return server.stats().served == 3; }));
    }
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_child_that_stays_without_its_socket_is_cut, Handler, LeavingForms) {
  const Gate released;
  net::TcpServer<Handler, Forking> server{loopback(), quick(),
                                          [&] { return Handler(Way::closes, released); }};
  Running running{server};
  Client client{server};
  client.send("hello");
  BOOST_TEST(client.receive_all() == "hello");
  BOOST_TEST((running.stop(100ms) == net::DrainReport{.cut = 1}));
}

BOOST_AUTO_TEST_SUITE_END()
