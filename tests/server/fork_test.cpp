// A process for each connection, seen from the parent.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using Forking = net::ForkPerRequest;

// The number of handlers that run at once, and the highest number so far.
struct Busy {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<int> begun{0};
  void enter() {
    const int count = ++now;
    for (int seen = most; seen < count && !most.compare_exchange_weak(seen, count);) {
    }
  }
};

struct Counted : net::StreamRequestHandler {
  explicit Counted(Busy& counter) : busy(counter) {}
  void setup() override { busy.enter(); }
  void finish() override { --busy.now; }
  net::Next handle() {
    // The first eight handlers wait for each other.
    if (busy.begun++ < 8) soon([this] { return busy.most == 8; });
    wfile.write(rfile.read_some());
    return net::Next::close;
  }
  Busy& busy;
};

// Records how many children the policy has.
class Counting : public net::ServerHooks {
 public:
  void service_actions() override {
    if (const Forking* const forking = policy) most = std::max(most.load(), forking->children());
    ++turns;
  }
  std::atomic<Forking*> policy{nullptr};
  std::atomic<std::size_t> most{0};
  std::atomic<int> turns{0};
};

struct Waiting : net::StreamRequestHandler {
  Waiting(const Gate& opening) : released(opening) {}
  net::Next handle() {
    const std::string text(rfile.read_some());
    released.wait();
    wfile.write(text);
    return net::Next::keep;
  }
  const Gate& released;
};

// Reads from the socket directly.
struct Raw : net::BaseRequestHandler {
  explicit Raw(std::atomic<int>& count) : made(count) { ++made; }
  net::Next handle() {
    std::array<std::byte, 100> buffer;
    request().sendall(std::span(buffer).first(request().recv(buffer)));
    return net::Next::keep;
  }
  std::atomic<int>& made;
};

// Answers with the number of its conversation. The first one holds its child until the gate opens.
struct Numbered : net::StreamRequestHandler {
  Numbered(std::atomic<int>& count, const Gate& opening) : begun(count), released(opening) {}
  void handle() {
    const int number = ++begun;
    if (number == 1) released.wait();
    wfile.write(std::to_string(number));
  }
  std::atomic<int>& begun;
  const Gate& released;
};

// Returns how many connections this process may have both ends of, at most as many as wanted.
std::size_t room_for(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return std::min<std::size_t>(wanted, limit.rlim_max / 4);
}

// Makes a system call fail from now on, as it does in a kernel before 5.3 or in a container.
bool refuse(unsigned call, int error) {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Answers with the number of children that the policy reports in the process of this handler.
struct AskingPolicy : net::StreamRequestHandler {
  explicit AskingPolicy(const std::atomic<Forking*>& forking) : policy(forking) {}
  net::Next handle() {
    rfile.read_some();
    wfile.write(std::to_string(policy.load()->children()));
    return net::Next::close;
  }
  const std::atomic<Forking*>& policy;
};

// Once `told` is set, keeps the serving thread from making processes. When an error is reported,
// records how many children the policy has.
struct Poor : net::ServerHooks {
  void service_actions() override {
    if (!told.load() || refused.load()) return;
    refuse(SYS_clone, EAGAIN);
    refuse(SYS_clone3, EAGAIN);
    refused = true;
  }
  void handle_error(const net::RequestError& error) override {
    if (error.phase == net::Phase::process) children = policy.load()->children();
  }
  std::atomic<Forking*> policy{nullptr};
  std::atomic<bool> told{false};
  std::atomic<bool> refused{false};
  std::atomic<std::size_t> children{99};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_fork, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_thousand_children_come_eight_at_once_and_go, *timeout(60)) {
  const pid_t foreign = ::fork();
  if (foreign == 0) ::_exit(72);
  const Shared<Busy> busy;
  Counting hooks;
  net::TcpServer<Counted, Forking> server{loopback(), quick(), Forking::Options{.max_children = 8},
                                          hooks, [&] { return Counted(*busy); }};
  hooks.policy = &server.policy();
  Running running{server};
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        try {
          Client client{server};
          client.send("hello");
          if (client.receive_all() == "hello") ++right;
        } catch (const std::exception&) {
          // Does not count as right.
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(right == 1000);
  BOOST_TEST(busy->most == 8);
  BOOST_TEST(hooks.most <= 8U);
  // The server reaps all of them without being closed. The only child left is the one that the
  // server did not make.
  BOOST_TEST(soon([&] { return server.stats().served == 1000; }));
  int status = 0;
  BOOST_TEST(::waitpid(-1, &status, 0) == foreign);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 72);
  BOOST_TEST(::waitpid(-1, &status, WNOHANG) == -1);
  BOOST_TEST(errno == ECHILD);
}

BOOST_AUTO_TEST_CASE(accepting_never_waits_for_a_child, *timeout(20)) {
  Gate released;
  Counting hooks;
  net::TcpServer<Waiting, Forking> server{loopback(), quick(), Forking::Options{.max_children = 2},
                                          hooks, [&] { return Waiting(released); }};
  Running running{server};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send("hello");
  }
  BOOST_TEST(soon([&] { return server.stats().accepted == 5; }));
  const int turns = hooks.turns;
  BOOST_TEST(soon([&] { return hooks.turns > turns + 2; }));
  BOOST_TEST(soon([&] { return server.stats().requests == 2; }));
  released.open();
  for (const auto& client : clients) {
    BOOST_TEST(client->receive(5) == "hello");
    client->end_sending();
    BOOST_TEST(client->sees_end());
  }
  running.stop();
  BOOST_TEST(server.stats().served == 5U);
}

BOOST_AUTO_TEST_CASE(a_host_may_ignore_sigchld, *timeout(20)) {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  {
    net::TcpServer<Echo, Forking> server{loopback(), quick()};
    Running running{server};
    for (int i = 0; i < 10; ++i) {
      Client client{server};
      BOOST_TEST(client.ask("hello") == "hello");
      client.end_sending();
      BOOST_TEST(client.sees_end());
    }
    BOOST_TEST(soon([&] { return server.stats().served == 10; }));
  }
  std::signal(SIGCHLD, before);
}

BOOST_AUTO_TEST_CASE(a_child_counts_for_its_parent, *timeout(20)) {
  net::TcpServer<Echo, Forking> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  for (int i = 0; i < 7; ++i) BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(server.stats().requests == 7U);
  client.reset();
  BOOST_TEST(soon([&] { return server.stats().peer_gone == 1; }));
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
}

// Forking a child for each of these clients, one after another, would delay the next client.
BOOST_AUTO_TEST_CASE(clients_that_leave_without_a_word_cost_no_child, *timeout(60)) {
  const std::size_t many = room_for(3000);
  const Shared<std::atomic<int>> made;
  net::TcpServer<Raw, Forking> server{loopback(), quick(), [&] { return Raw(*made); }};
  Running running{server};
  std::vector<net::Socket> silent;
  while (silent.size() < many)
    silent.push_back(net::create_connection(server.server_address(), 10s));
  BOOST_TEST(soon([&] { return server.stats().parked == many; }));
  silent.clear();
  const net::Deadline in_time(2s);
  Client client{server};
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(!in_time.passed());
  BOOST_TEST(soon([&] { return server.stats().served == many; }));
  BOOST_TEST(*made == 1);
}

BOOST_AUTO_TEST_CASE(clients_that_left_while_they_waited_come_last, *timeout(30)) {
  const Shared<std::atomic<int>> begun;
  Gate released;
  net::TcpServer<Numbered, Forking> server{loopback(), quick(), Forking::Options{.max_children = 1},
                                           [&] { return Numbered(*begun, released); }};
  Running running{server};
  Client first{server};
  BOOST_TEST(soon([&] { return *begun == 1; }));
  for (int i = 0; i < 20; ++i) Client{server}.end_sending();
  Client listening{server};  // a client that only receives
  listening.end_sending();
  Client last{server};
  BOOST_TEST(soon([&] { return server.stats().waiting == 22; }));
  released.open();
  BOOST_TEST(first.receive_all() == "1");
  BOOST_TEST(last.receive_all() == "2");
  BOOST_TEST(listening.receive_all() == "23");
}

BOOST_AUTO_TEST_CASE(a_system_without_pidfds_is_refused_at_once, *timeout(20)) {
  for (const unsigned call : {unsigned{SYS_pidfd_open}, unsigned{SYS_pidfd_send_signal}}) {
    for (const int error : {ENOSYS, EPERM}) {
      support::Forked program([call, error] {
        if (!refuse(call, error)) return 2;
        try {
          net::TcpServer<Echo, Forking> server{loopback(), quick()};
        } catch (const std::system_error& refused) {
          return refused.code().value() == error ? 0 : 3;
        }
        return 1;
      });
      BOOST_TEST(program.status() == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_child_may_ask_how_many_there_are, *timeout(20)) {
  std::atomic<Forking*> policy{nullptr};
  net::TcpServer<AskingPolicy, Forking> server{loopback(), quick(),
                                               [&] { return AskingPolicy(policy); }};
  policy = &server.policy();
  Running running{server};
  for (int i = 0; i < 3; ++i) {
    Client client{server};
    client.send("x");
    BOOST_TEST(client.receive_all().size() == 1U);
  }
}

BOOST_AUTO_TEST_CASE(a_hook_that_hears_of_a_failed_fork_may_ask_the_policy, *timeout(20)) {
  Gate released;
  Poor hooks;
  net::TcpServer<Waiting, Forking> server{loopback(), quick(), Forking::Options{.max_children = 1},
                                          hooks, [&] { return Waiting(released); }};
  hooks.policy = &server.policy();
  Running running{server};
  Client first{server};
  first.send("hello");
  BOOST_TEST(soon([&] { return server.policy().children() == 1; }));
  Client second{server};
  second.send("hello");
  BOOST_TEST(soon([&] { return server.stats().active == 2; }));
  hooks.told = true;
  BOOST_TEST(soon([&] { return hooks.refused.load(); }));
  released.open();
  BOOST_TEST(first.receive(5) == "hello");
  first.end_sending();
  BOOST_TEST(first.sees_end());
  BOOST_TEST(second.is_closed());
  BOOST_TEST(soon([&] { return hooks.children == 0; }));
}

BOOST_AUTO_TEST_SUITE_END()
