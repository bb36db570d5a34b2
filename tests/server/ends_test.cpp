// What hooks report: the ends of connections, bad requests, and the starts and ends of workers.

#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

struct Ends : QuietHooks {
  void on_close(const net::ClosedConnection& connection) override {
    const std::lock_guard lock(mutex);
    ++told[connection.outcome];
    last = connection.client_address;
  }
  std::size_t of(net::Outcome outcome) {
    const std::lock_guard lock(mutex);
    return told[outcome];
  }
  std::size_t all() {
    const std::lock_guard lock(mutex);
    std::size_t sum = 0;
    for (const auto& [outcome, count] : told) sum += count;
    return sum;
  }
  std::mutex mutex;
  std::map<net::Outcome, std::size_t> told;
  net::Address last;
};

// Asks the server how busy it is whenever the server calls a hook.
struct Asking : Ends {
  void on_close(const net::ClosedConnection& connection) override {
    ask();
    Ends::on_close(connection);
  }
  void on_request(const net::RequestRecord&) override { ask(); }
  std::string on_overload(const net::Address&) override {
    ask();
    return {};
  }
  void ask() const {
    static_cast<void>(server.load()->load());
    static_cast<void>(server.load()->stats());
  }
  std::atomic<const net::BaseServer*> server{nullptr};
};

struct Refusing : Ends {
  bool verify_request(const net::Socket&, const net::Address&) override { return false; }
};

// Does what the line says.
struct Obedient : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    if (!received.empty() && received.front() == std::byte{'!'}) {
      throw std::invalid_argument("no line begins so");
    }
    return net::line(received);
  }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line || *line == "end\n") return net::Next::close;
    if (*line == "throw\n") throw std::runtime_error("as asked");
    wfile.write(*line);
    return net::Next::keep;
  }
};

struct LastWords : QuietHooks {
  std::string on_bad_request(const net::Address& client, net::BadRequest why) override {
    if (client.family() != net::Family::ipv4) return "of nobody";
    switch (why) {
      case net::BadRequest::too_large: return "too large\n";
      case net::BadRequest::malformed: return "malformed\n";
      case net::BadRequest::late: return "late\n";
    }
    return {};
  }
};

// The counts are in memory that children share.
struct CountingWorkers : net::WorkerHooks {
  void worker_started() noexcept override { ++counts->started; }
  void worker_stopped() noexcept override { ++counts->stopped; }
  struct Counts {
    std::atomic<int> started{0};
    std::atomic<int> stopped{0};
  };
  Shared<Counts> counts;
};

std::multiset<std::string> names_of_threads() {
  std::multiset<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    names.insert(name);
  }
  return names;
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(hooks_may_ask_how_busy_the_server_is, Policy, Policies) {
  const LeavesNothing nothing;
  Asking hooks;
  net::ServerOptions options = quick();
  options.per_client.connections = 2;
  net::TcpServer<Obedient, Policy> server{loopback(), options, hooks, at_once<Policy>(2)};
  hooks.server = &server;
  Running running{server};
  for (unsigned i = 0; i < 3; ++i) {
    Client first{server};
    BOOST_TEST(first.ask("hello\n") == "hello\n");
    Client second{server};
    BOOST_TEST(second.ask("hello\n") == "hello\n");
    BOOST_TEST(Client(server).sees_end());
    for (Client* const client : {&first, &second}) {
      client->send("end\n");
      BOOST_TEST(client->sees_end());
    }
    BOOST_TEST_REQUIRE(soon([&] { return hooks.all() == 3U * i + 3; }));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(each_end_is_told_once_with_how_it_came, Policy, Policies) {
  const LeavesNothing nothing;
  Ends hooks;
  net::ServerOptions options = quick();
  options.limits.idle = 1s;
  options.limits.request = 1s;
  options.max_connections = 2;
  options.overload = net::Overload::reject;
  net::TcpServer<Obedient, Policy> server(loopback(), options, hooks);
  Running running(server);
  {
    Client client(server);
    client.send("end\n");
    BOOST_TEST(client.is_closed());
    BOOST_TEST(soon([&] { return hooks.of(net::Outcome::served) == 1; }));
    BOOST_TEST(hooks.last == client.socket.getsockname());
  }
  {
    Client client(server);
    client.send("throw\n");
    BOOST_TEST(client.is_closed());
    BOOST_TEST(soon([&] { return hooks.of(net::Outcome::failed) == 1; }));
  }
  // The hook is called before the slot is free: a connection that arrives in between is rejected.
  BOOST_TEST(soon([&] { return server.load().connections == 0; }));
  {
    Client idle(server);
    Client late(server);
    late.send("half a li");
    BOOST_TEST(soon([&] { return server.stats().parked == 2; }));
    BOOST_TEST(Client(server).is_closed());
    BOOST_TEST(idle.is_closed());
    BOOST_TEST(late.is_closed());
  }
  BOOST_TEST(soon([&] { return hooks.of(net::Outcome::rejected) == 1; }));
  BOOST_TEST(soon([&] { return hooks.of(net::Outcome::closed_idle) == 1; }));
  BOOST_TEST(soon([&] { return hooks.of(net::Outcome::timed_out) == 1; }));
  running.stop();
  BOOST_TEST(hooks.all() == server.stats().accepted);
}

BOOST_AUTO_TEST_CASE(who_is_refused_or_cut_has_an_end_too, *timeout(20)) {
  const LeavesNothing nothing;
  {
    Refusing hooks;
    net::TcpServer<Obedient> server(loopback(), quick(), hooks);
    Running running(server);
    BOOST_TEST(Client(server).is_closed());
    BOOST_TEST(soon([&] { return hooks.of(net::Outcome::refused) == 1; }));
  }
  Ends hooks;
  net::TcpServer<Obedient> server(loopback(), quick(), hooks);
  Running running(server);
  Client client(server);
  client.send("half a li");
  BOOST_TEST(soon([&] { return server.stats().parked == 1; }));
  running.stop(net::Deadline(0ms));
  BOOST_TEST(hooks.of(net::Outcome::cut) == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whom_a_limit_ends_has_an_end_too, Policy, ThreadPolicies) {
  const LeavesNothing nothing;
  Ends hooks;
  // Runs clients against a server with these options until a connection has ended with this
  // outcome.
  const auto ends_as = [&](net::Outcome outcome, const net::ServerOptions& options, auto clients) {
    net::TcpServer<Obedient, Policy> server(loopback(), options, hooks);
    Running running(server);
    clients(server);
    BOOST_TEST(soon([&] { return hooks.of(outcome) >= 1; }), net::name(outcome));
  };
  net::ServerOptions options = quick();
  options.per_client.connections = 1;
  ends_as(net::Outcome::too_many, options, [](const net::BaseServer& server) {
    const Client first(server);
    BOOST_TEST(Client(server).is_closed());
  });
  options = quick();
  options.per_client.per_second = 0.001;
  options.per_client.burst = 1;
  ends_as(net::Outcome::too_fast, options, [](const net::BaseServer& server) {
    const Client first(server);
    BOOST_TEST(Client(server).is_closed());
  });
  options = quick();
  options.proxy_protocol = net::ProxyProtocol{.trusted = net::Networks("127.0.0.0/8")};
  ends_as(net::Outcome::not_introduced, options, [](const net::BaseServer& server) {
    Client client(server);
    client.send("GET / HTTP/1.1\r\n\r\n");
    BOOST_TEST(client.is_closed());
  });
  options = quick();
  options.max_connections = 1;
  options.overload = net::Overload::evict_idle;
  ends_as(net::Outcome::evicted, options, [](const net::BaseServer& server) {
    Client idle(server);
    BOOST_TEST(soon([&] { return server.stats().parked == 1; }));
    BOOST_TEST(Client(server).ask("hello\n") == "hello\n");
    BOOST_TEST(idle.is_closed());
  });
  options = quick();
  options.max_request_size = 100'000;
  options.buffer_memory = 70'000;
  ends_as(net::Outcome::greedy, options, [](const net::BaseServer& server) {
    Client one(server);
    Client other(server);
    one.send(std::string(60'000, 'x'));
    other.send(std::string(60'000, 'x'));
    BOOST_TEST(soon([&] { return server.stats().shed_greedy >= 1; }));
  });
}

BOOST_AUTO_TEST_CASE(what_a_policy_drops_or_keeps_waiting_has_an_end_too, *timeout(20)) {
  const LeavesNothing nothing;
  // Drops its first conversation, and keeps the next one for too long.
  class Careless {
   public:
    struct Options {};
    Careless(Options, net::PolicyContext&) {}
    void process(net::Request request) {
      if (dropped_.exchange(true)) kept_.push(std::move(request));
    }
    void expire() {
      net::RequestQueue overdue;
      kept_.take_overdue(overdue);
    }
    net::DrainReport drain(net::Deadline) { return {}; }

   private:
    std::atomic<bool> dropped_{false};
    net::RequestQueue kept_;  // used only by the serving thread
  };
  Ends hooks;
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  net::TcpServer<EchoConversation, Careless> server(loopback(), options, hooks);
  Running running(server);
  BOOST_TEST(Client(server).is_closed());
  BOOST_TEST(soon([&] { return hooks.of(net::Outcome::dropped) == 1; }));
  BOOST_TEST(Client(server).is_closed());
  BOOST_TEST(soon([&] { return hooks.of(net::Outcome::shed) == 1; }));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_that_is_no_good_gets_a_last_word, Policy, Policies) {
  const LeavesNothing nothing;
  LastWords hooks;
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  options.max_request_size = 1000;
  net::TcpServer<Obedient, Policy> server(loopback(), options, hooks);
  Running running(server);
  {
    Client client(server);
    client.send(std::string(5000, 'x'));
    BOOST_TEST(client.receive_all() == "too large\n");
  }
  {
    Client client(server);
    client.send("one\n");
    BOOST_TEST(client.receive(4) == "one\n");
    client.send("!\n");
    BOOST_TEST(client.receive_all() == "malformed\n");
  }
  {
    Client client(server);
    client.send("half a li");
    BOOST_TEST(client.receive_all() == "late\n");
  }
  {
    // This also holds when a child has sent the message, to a client that goes on sending.
    Client client(server);
    client.send("one\nhalf a li");
    BOOST_TEST(client.receive(4) == "one\n");
    client.send("ne");
    BOOST_TEST(client.receive(5) == "late\n");
    client.send("of something else");
    BOOST_TEST(client.sees_end());
  }
  {
    // When a handler throws, the server sends no message of its own.
    Client client(server);
    client.send("throw\n");
    BOOST_TEST(client.receive_all().empty());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(their_exceptions_are_counted_and_told, Policy, Policies) {
  struct Throwing : QuietHooks {
    std::string on_bad_request(const net::Address&, net::BadRequest) override {
      throw std::runtime_error("on_bad_request");
    }
    void on_close(const net::ClosedConnection&) override { throw std::runtime_error("on_close"); }
  };
  const LeavesNothing nothing;
  Throwing hooks;
  net::TcpServer<Obedient, Policy> server(loopback(), quick(), hooks);
  Running running(server);
  Client client(server);
  client.send("!\n");
  BOOST_TEST(client.receive_all().empty());
  BOOST_TEST(soon([&] { return server.stats().hook_errors == 2; }));
  BOOST_TEST((hooks.phase == net::Phase::on_close));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(workers_are_told_of_their_begin_and_end, Policy, Concurrent) {
  const LeavesNothing nothing;
  CountingWorkers hooks;
  typename Policy::Options options = at_once<Policy>(2);
  options.worker_hooks = &hooks;
  if constexpr (requires { options.keep; }) options.keep = 0ms;
  {
    net::TcpServer<Obedient, Policy> server(loopback(), quick(), options);
    Running running(server);
    for (int i = 0; i < 4; ++i) {
      Client client(server);
      client.send("one\nend\n");
      BOOST_TEST(client.receive_all() == "one\n");
    }
    BOOST_TEST(hooks.counts->started >= 1);
  }
  BOOST_TEST(hooks.counts->started == hooks.counts->stopped);
}

BOOST_AUTO_TEST_CASE(threads_have_names, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Obedient> server(loopback(), quick(), net::ThreadPool::Options{.workers = 3});
  Running running(server);
  BOOST_TEST(soon([] {
    const auto names = names_of_threads();
    return names.count("net-worker") == 3 && names.count("net-sentinel") == 1;
  }));
}
