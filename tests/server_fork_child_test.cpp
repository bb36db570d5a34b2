// A process for each connection: what the child has, and how it may end.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/data/test_case.hpp>
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

// Answers how many sockets of two servers it has, and stays.
struct Telling : net::StreamRequestHandler {
  explicit Telling(std::uint16_t another) : other(another) {}
  net::Next handle() {
    rfile.read_some();
    wfile.write(std::to_string(sockets_of(context().server_address().port(), other)));
    return net::Next::keep;
  }
  std::uint16_t other;
};

// Tells which of the program's files are open, and how many sockets of its server.
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

constexpr std::array synchronous{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

// Answers which signals are blocked: "y" or "n" for each of some.
struct Masked : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    sigset_t blocked{};
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    std::string answer;
    const auto add = [&](int signal) {
      answer += ::sigismember(&blocked, signal) != 0 ? "y" : "n";
    };
    for (const int signal : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1}) add(signal);
    for (const int signal : synchronous) add(signal);
    wfile.write(answer);
    return net::Next::close;
  }
};

// Writes where nothing may be written.
struct Faulting : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile char*>(page) = 1;
    return net::Next::close;
  }
};

struct WhoAmI : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write(std::to_string(::getpid()) + "\n");
    return net::Next::keep;
  }
};

// Prints without flushing.
struct Printing : net::StreamRequestHandler {
  net::Next handle() {
    const std::string text(rfile.read_some());
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (text == "two ") context().shutdown();
    return net::Next::close;
  }
};

// Answers with its process, and again once it may go on.
struct Holding : net::StreamRequestHandler {
  explicit Holding(const Gate& opening) : released(opening) {}
  net::Next handle() {
    rfile.read_some();
    wfile.write(number(::getpid()));
    wfile.flush();
    released.wait();
    wfile.write(context().stopping() ? "stopping" : "serving ");
    return net::Next::keep;
  }
  static std::string number(pid_t process) { return std::to_string(1'000'000'000 + process); }
  const Gate& released;
};

// As an echo, but that its first answer is its process.
struct TellingConversation : net::StreamRequestHandler {
  void handle() {
    wfile.write(Holding::number(::getpid()));
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) wfile.write(text);
    wfile.write("farewell");
  }
};

pid_t process_at(Client& client) { return std::stoi(client.receive(10)) - 1'000'000'000; }

// Sends a signal as another process does.
void signal_from_elsewhere(pid_t process, int signal) {
  support::Forked sender([&] { return ::kill(process, signal); });
  BOOST_TEST(sender.status() == 0);
}

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

// The descriptors of the program and of the server lie among each other.
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
  // One of a number that the server has given back.
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

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_is_spared_asynchronous_signals_alone, P, Policies) {
  // A child, and the serving thread itself, have the mask of the program.
  sigset_t blocked{};
  sigset_t before{};
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  net::TcpServer<Masked, P> server{loopback(), quick()};
  Running running{server};
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const bool in_thread_of_library =
      std::is_same_v<P, net::ThreadPool> || std::is_same_v<P, net::ThreadPerRequest>;
  Client client{server};
  client.send("x");
  BOOST_TEST(client.receive_all() ==
             (in_thread_of_library ? "yyyy" : "nnny") + std::string(synchronous.size(), 'n'));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_fault_in_a_handler_reaches_the_programs_handler, P,
                              ThreadPolicies) {
  support::Forked program([] {
    struct sigaction action{};
    action.sa_handler = [](int) { ::_exit(42); };
    ::sigaction(SIGSEGV, &action, nullptr);
    net::TcpServer<Faulting, P> server{loopback(), quick()};
    net::Socket client = net::create_connection(server.server_address());
    client.sendall(net::bytes("x"));
    server.serve_forever();
    return 0;
  });
  BOOST_TEST(program.status() == 42);
}

BOOST_AUTO_TEST_CASE(a_child_leaves_an_interrupt_to_its_parent, *timeout(20)) {
  Gate released;
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  signal_from_elsewhere(process_at(client), SIGINT);
  released.open();
  BOOST_TEST(client.receive(8) == "serving ");
  client.send("x");
  process_at(client);
}

BOOST_AUTO_TEST_CASE(a_child_that_is_told_to_end_answers_first, *timeout(20)) {
  Gate released;
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  signal_from_elsewhere(process_at(client), SIGTERM);
  released.open();
  BOOST_TEST(client.receive_all() == "stopping");
  Client next{server};
  next.send("x");
  process_at(next);
}

BOOST_AUTO_TEST_CASE(a_child_that_is_told_twice_ends_at_once, *timeout(20)) {
  const Gate never;
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(never); }};
  Running running{server};
  Client client{server};
  client.send("x");
  const pid_t child = process_at(client);
  signal_from_elsewhere(child, SIGTERM);
  // The second of two that wait would be lost; and the child may be gone already.
  BOOST_TEST(soon([&] {
    support::Forked sender([&] { return ::kill(child, SIGTERM) == 0 ? 0 : 1; });
    sender.status();
    return server.stats().failed == 1;
  }));
  BOOST_TEST(client.is_closed());
}

BOOST_AUTO_TEST_CASE(a_silent_child_ends_when_it_is_told, *timeout(20)) {
  Gate released;
  released.open();
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  const pid_t child = process_at(client);
  BOOST_TEST(client.receive(8) == "serving ");
  signal_from_elsewhere(child, SIGTERM);
  BOOST_TEST(client.sees_end());
}

BOOST_AUTO_TEST_CASE(a_conversation_ends_when_its_child_is_told, *timeout(20)) {
  net::TcpServer<TellingConversation, Forking> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  const pid_t child = process_at(client);
  BOOST_TEST(client.ask("hello") == "hello");
  signal_from_elsewhere(child, SIGTERM);
  BOOST_TEST(client.receive_all() == "farewell");
}

// The thread that forked ends before the drain.
BOOST_AUTO_TEST_CASE(a_child_outlives_the_thread_that_forked_it, *timeout(20)) {
  Gate released;
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(released); }};
  Running running{server};
  Client client{server};
  client.send("x");
  process_at(client);
  server.shutdown();
  running.join();
  std::thread drainer([&] {
    soon([&] { return server.fileno() == -1; }, 200ms);
    released.open();
  });
  running.stop();
  drainer.join();
  BOOST_TEST(client.receive_all() == "stopping");
}

// Whether it blocks what a child is told by, as hosts do that use signalfd(2).
BOOST_DATA_TEST_CASE(a_child_ends_with_its_parent, boost::unit_test::data::make({false, true}),
                     blocked) {
  const Gate never;
  const Shared<std::atomic<std::uint16_t>> port;
  Gate made;
  support::Forked program([&] {
    sigset_t mask{};
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGTERM);
    if (blocked) ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(never); }};
    *port = server.server_address().port();
    made.open();
    std::jthread serving([&] { server.serve_forever(); });
    return ::pause();
  });
  BOOST_TEST_REQUIRE(made.wait());
  Client client{net::Address{"127.0.0.1", *port}};
  client.send("x");
  process_at(client);
  ::kill(program.process(), SIGKILL);
  BOOST_TEST(program.status() == -1);
  // Sooner than the handler ends by itself.
  client.socket.settimeout(5s);
  BOOST_TEST(client.is_closed());
}

// What the program printed before is in the buffer that a child inherits.
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

BOOST_AUTO_TEST_SUITE_END()
