// A process for each connection, and threads: which signals their handlers get.

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <boost/test/data/test_case.hpp>
#include <csignal>
#include <string>
#include <thread>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using Forking = net::ForkPerRequest;

// The thread sanitizer delays signals; in a child that waits, until the wait ends.
#if __has_feature(thread_sanitizer)
constexpr bool signals_arrive = false;
#else
constexpr bool signals_arrive = true;
#endif

constexpr std::array synchronous{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

// Answers which of some signals are blocked: "y" or "n" for each.
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

// Writes to memory that it may not write to.
struct Faulting : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<volatile char*>(page) = 1;
    return net::Next::close;
  }
};

// Answers with its process, and answers again when the gate has opened.
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

// Echoes, except that the first answer is its process.
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

BOOST_FIXTURE_TEST_SUITE(server_signals, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_is_spared_asynchronous_signals_alone, P, Policies) {
  // A child, and the serving thread itself, have the signal mask of the program.
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
  if (!signals_arrive) return;
  const Gate never;
  net::TcpServer<Holding, Forking> server{loopback(), quick(), [&] { return Holding(never); }};
  Running running{server};
  Client client{server};
  client.send("x");
  const pid_t child = process_at(client);
  signal_from_elsewhere(child, SIGTERM);
  // Of two pending signals the second one would be lost, and the child may have ended already.
  BOOST_TEST(soon([&] {
    support::Forked sender([&] { return ::kill(child, SIGTERM) == 0 ? 0 : 1; });
    sender.status();
    return server.stats().failed == 1;
  }));
  BOOST_TEST(client.is_closed());
}

BOOST_AUTO_TEST_CASE(a_silent_child_ends_when_it_is_told, *timeout(20)) {
  if (!signals_arrive) return;
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
  if (!signals_arrive) return;
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

// `blocked`: whether the host blocks the signal that ends a child, as a host with signalfd(2) does.
BOOST_DATA_TEST_CASE(a_child_ends_with_its_parent, boost::unit_test::data::make({false, true}),
                     blocked) {
  if (!signals_arrive) return;
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
  // The connection ends sooner than the handler ends by itself.
  client.socket.settimeout(5s);
  BOOST_TEST(client.is_closed());
}

BOOST_AUTO_TEST_SUITE_END()
