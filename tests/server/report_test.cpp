// Reports of the library to a stderr that no process reads: they raise no signal, on whichever
// thread.

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/server_test.hpp"

namespace {

// What stderr is in the child that runs the trial.
void to_pipe_without_reader() {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) ::_exit(100);
  ::dup2(pipe[1], STDERR_FILENO);
  for (const int end : pipe) ::close(end);
}
void to_socket_without_peer() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) ::_exit(100);
  ::dup2(pair[1], STDERR_FILENO);
  for (const int end : pair) ::close(end);
}
void to_terminal_that_hung_up() {
  int master = -1;
  int slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) ::_exit(100);
  ::dup2(slave, STDERR_FILENO);
  ::close(slave);
  ::close(master);
}
void to_full_file() {
  const rlimit limit{.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ::dup2(::memfd_create("full", 0), STDERR_FILENO);
}

// Runs a function in a child with the system's default handling of signals. Returns its status, or
// 128 and the signal that ended or stopped it.
int in_child(void (*redirect)(), const std::function<int()>& function) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGPIPE, SIGXFSZ, SIGTTOU}) ::signal(signal, SIG_DFL);
    redirect();
    try {
      ::_exit(function());
    } catch (...) {
      ::_exit(101);
    }
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  if (WIFSTOPPED(status)) {
    ::kill(child, SIGKILL);
    const int stopped = 128 + WSTOPSIG(status);
    ::waitpid(child, &status, 0);
    return stopped;
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

using Redirection = void (*)();

// Returns whether the system has pseudoterminals, which a root without /dev/pts does not have.
bool has_terminals() {
  int master = -1;
  int slave = -1;
  const bool opened = ::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0;
  if (opened) {
    ::close(slave);
    ::close(master);
  } else {
    BOOST_TEST_MESSAGE("no pseudoterminal here: reports to one are not tried");
  }
  return opened;
}

std::vector<Redirection> redirections() {
  std::vector<Redirection> all{to_pipe_without_reader, to_socket_without_peer, to_full_file};
  if (has_terminals()) all.push_back(to_terminal_that_hung_up);
  return all;
}

// The answer is sent after the exception has been reported. So if it arrives, the thread that
// reported survived.
struct Failing : net::StreamRequestHandler {
  net::Next handle() {
    wfile.set_buffer(100);
    wfile.write(rfile.read_some());
    throw std::runtime_error("it always fails");
  }
};
struct FailingConversation : net::StreamRequestHandler {
  void handle() {
    wfile.set_buffer(100);
    wfile.write(rfile.read_some());
    throw std::runtime_error("it always fails");
  }
};
struct FailingDatagram : net::DatagramRequestHandler {
  void handle() {
    reply(packet());
    throw std::runtime_error("it always fails");
  }
};
// Makes the library report on the serving thread.
struct FailingHooks : net::ServerHooks {
  bool verify_request(const net::Socket&, const net::Address&) override {
    throw std::runtime_error("it always fails");
  }
};

template <class H, class P>
int reports_are_survived() {
  net::TcpServer<H, P> server{loopback(), quick()};
  std::thread serving([&] { server.serve_forever(); });
  bool answered = true;
  for (int i = 0; i < 2; ++i) {
    Client client(server);
    client.send("hello");
    answered = answered && client.receive_all() == "hello";
  }
  server.shutdown();
  serving.join();
  server.server_close(2s);
  return answered && server.stats().failed == 2 ? 0 : 1;
}

template <class P>
int reports_of_datagrams_are_survived() {
  net::UdpServer<FailingDatagram, P> server{loopback(), quick()};
  std::thread serving([&] { server.serve_forever(); });
  DatagramClient client(server);
  const bool answered = client.ask("hello") == "hello" && client.ask("again") == "again";
  soon([&] { return server.stats().failed == 2; }, 2s);
  server.shutdown();
  serving.join();
  server.server_close(2s);
  return answered && server.stats().failed == 2 ? 0 : 1;
}

template <class P>
int reports_of_the_serving_thread_are_survived() {
  FailingHooks hooks;
  net::TcpServer<Echo, P> server{loopback(), quick(), hooks};
  std::thread serving([&] { server.serve_forever(); });
  const bool closed = Client(server).sees_end() && Client(server).sees_end();
  server.shutdown();
  serving.join();
  server.server_close(2s);
  return closed && server.stats().failed == 2 ? 0 : 1;
}

void report(const char* text) {
  const net::RequestError error{
      net::Phase::handle, std::make_exception_ptr(std::runtime_error(text)), {}};
  net::ServerHooks().handle_error(error);
}

bool is_pending(int signal) {
  sigset_t pending{};
  ::sigpending(&pending);
  return ::sigismember(&pending, signal) == 1;
}

bool is_blocked(int signal) {
  sigset_t blocked{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return ::sigismember(&blocked, signal) == 1;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_report, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(where_handlers_run_it_raises_no_signal, Policy, Policies) {
  for (const Redirection redirect : redirections()) {
    BOOST_TEST(in_child(redirect, reports_are_survived<Failing, Policy>) == 0);
    BOOST_TEST(in_child(redirect, reports_are_survived<FailingConversation, Policy>) == 0);
    BOOST_TEST(in_child(redirect, reports_of_datagrams_are_survived<Policy>) == 0);
  }
}

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(on_the_serving_thread_it_raises_no_signal, Policy, Policies) {
  for (const Redirection redirect : redirections()) {
    BOOST_TEST(in_child(redirect, reports_of_the_serving_thread_are_survived<Policy>) == 0);
  }
}

BOOST_AUTO_TEST_CASE(on_threads_of_the_application_it_raises_no_signal, *timeout(20)) {
  for (const Redirection redirect : redirections()) {
    BOOST_TEST(in_child(redirect, [] {
                 report("on the main thread");
                 std::this_thread::sleep_for(1100ms);  // each kind is reported once a second
                 std::thread([] { report("on another thread"); }).join();
                 const bool clean =
                     !is_pending(SIGPIPE) && !is_pending(SIGXFSZ) && !is_blocked(SIGPIPE);
                 return clean ? 0 : 1;
               }) == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_signal_that_was_pending_stays_pending, *timeout(20)) {
  BOOST_TEST(in_child(to_pipe_without_reader, [] {
               sigset_t pipe{};
               ::sigemptyset(&pipe);
               ::sigaddset(&pipe, SIGPIPE);
               ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
               ::raise(SIGPIPE);
               report("while one is pending");
               return is_pending(SIGPIPE) && is_blocked(SIGPIPE) ? 0 : 1;
             }) == 0);
}

BOOST_AUTO_TEST_CASE(a_handler_of_the_application_is_not_called, *timeout(20)) {
  BOOST_TEST(in_child(to_pipe_without_reader, [] {
               static volatile std::sig_atomic_t called = 0;
               ::signal(SIGPIPE, [](int) { called = called + 1; });
               report("with a handler");
               const bool kept = ::signal(SIGPIPE, SIG_DFL) != SIG_DFL;
               return called == 0 && kept ? 0 : 1;
             }) == 0);
}

// A background process of a terminal with `stty tostop` is stopped when it writes.
BOOST_AUTO_TEST_CASE(in_the_background_of_a_terminal_it_stops_nothing, *timeout(20)) {
  if (!has_terminals()) return;
  int master = -1;
  std::cout.flush();  // otherwise the child might write what this process has buffered
  const pid_t session = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (session == 0) {
    termios settings{};
    ::tcgetattr(STDERR_FILENO, &settings);
    settings.c_lflag |= TOSTOP;
    ::tcsetattr(STDERR_FILENO, TCSANOW, &settings);
    ::_exit(in_child([] { ::setpgid(0, 0); },
                     [] {
                       report("in the background");
                       return 0;
                     }));
  }
  std::string said;
  std::array<char, 100> some{};
  for (ssize_t count = 0; (count = ::read(master, some.data(), some.size())) > 0;) {
    said.append(some.data(), static_cast<std::size_t>(count));
  }
  int status = 0;
  ::waitpid(session, &status, 0);
  ::close(master);
  BOOST_TEST((WIFEXITED(status) ? WEXITSTATUS(status) : -1) == 0);
  BOOST_TEST(said.find("in the background") != std::string::npos, said);
}

BOOST_AUTO_TEST_SUITE_END()
