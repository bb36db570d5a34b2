// Faults that were observed in CPython's socketserver, and that no other test covers.
// docs/python.md lists them under "What is known to go wrong in Python".

#include <poll.h>
#include <sys/wait.h>

#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

// Fails in handle, and again in finish.
struct FailingTwice : net::StreamRequestHandler {
  void handle() { throw std::runtime_error("of handle"); }
  void finish() override { throw std::runtime_error("of finish"); }
};

// Keeps copies of the reader and the writer for longer than the handler exists.
struct Kept {
  net::StreamReader rfile;
  net::StreamWriter wfile;
};
struct Keeping : net::StreamRequestHandler {
  explicit Keeping(Kept& kept) : kept_(kept) {}
  void handle() {
    wfile.write("hello");
    kept_ = {rfile, wfile};
  }
  Kept& kept_;
};

struct CloseFirst : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::close;
  }
};

struct Texts : net::ServerHooks {
  void handle_error(const net::RequestError& error) override {
    const std::lock_guard lock(mutex);
    texts.insert(error.what());
  }
  std::mutex mutex;
  std::set<std::string> texts;
};

std::size_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(python_ledger, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_error_of_finish_does_not_hide_that_of_handle, Policy,
                              ThreadPolicies) {
  Texts hooks;
  net::TcpServer<FailingTwice, Policy> server{loopback(), quick(), hooks};
  Running running(server);
  BOOST_TEST(Client(server).sees_end());
  running.stop();
  BOOST_TEST((hooks.texts == std::set<std::string>{"of handle", "of finish"}));
  BOOST_TEST(server.stats().handler_errors == 2U);
  BOOST_TEST(server.stats().failed == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_that_is_kept_holds_no_connection_open, Policy,
                              ThreadPolicies) {
  Kept kept;
  net::TcpServer<Keeping, Policy> server{loopback(), quick(), [&] { return Keeping(kept); }};
  Running running(server);
  BOOST_TEST(Client(server).receive_all() == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_resets_before_the_accept_harms_nobody, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Client(server).reset();
  Running running(server);
  BOOST_TEST(Client(server).ask("hello") == "hello");
  BOOST_TEST(soon([&] { return server.stats().ended() >= 1; }));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_port_is_free_again_at_once, Policy, Policies) {
  net::Address address = loopback();
  for (int i = 0; i < 3; ++i) {
    net::TcpServer<CloseFirst, Policy> server{address, quick()};
    address = server.server_address();
    Running running(server);
    Client client(server);
    client.send("hello");
    BOOST_TEST(client.receive_all() == "hello");  // the server closes first, and has the TIME_WAIT
  }
}

BOOST_AUTO_TEST_CASE(an_ipv6_server_takes_no_ipv4_clients_unless_told_to, *timeout(20)) {
  auto options = quick();
  for (const bool both : {false, true}) {
    options.dualstack = both;
    net::TcpServer<Echo> server{net::Address{"::", 0}, options};
    Running running(server);
    const auto port = server.server_address().port();
    BOOST_TEST(Client(net::Address{"::1", port}).ask("six") == "six");
    if (both) {
      BOOST_TEST(Client(net::Address{"127.0.0.1", port}).ask("four") == "four");
    } else {
      BOOST_CHECK_EXCEPTION(
          Client(net::Address{"127.0.0.1", port}), std::system_error,
          [](const auto& e) { return e.code() == std::errc::connection_refused; });
    }
  }
}

BOOST_AUTO_TEST_CASE(options_of_tcp_do_no_harm_on_a_unix_socket, *timeout(20)) {
  auto options = quick();
  options.no_delay = true;
  options.reuse_address = true;
  options.reuse_port = true;
  net::UnixStreamServer<Echo> streams{net::Address::unix_unnamed(), options};
  net::UnixDatagramServer<EchoDatagram> datagrams{net::Address::unix_unnamed(), options};
  Running one(streams);
  Running other(datagrams);
  BOOST_TEST(Client(streams).ask("hello") == "hello");
  BOOST_TEST(DatagramClient(datagrams).ask("hello") == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(silent_clients_have_no_thread, Policy, ThreadPolicies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  Running running(server);
  std::vector<std::unique_ptr<Client>> clients;
  clients.push_back(std::make_unique<Client>(server));
  BOOST_TEST(clients.front()->ask("hello") == "hello");
  const std::size_t before = threads();
  while (clients.size() < 400) clients.push_back(std::make_unique<Client>(server));
  BOOST_TEST(soon([&] { return server.stats().accepted == 400; }));
  BOOST_TEST(threads() <= before);
  for (const auto& client : clients) BOOST_TEST(client->ask("hello") == "hello");
}

BOOST_AUTO_TEST_CASE(clients_connect_while_nobody_accepts, *timeout(20)) {
  net::TcpServer<Echo> server{loopback(), quick()};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send("hello");
  }
  Running running(server);
  for (const auto& client : clients) BOOST_TEST(client->receive(5) == "hello");
}

BOOST_AUTO_TEST_CASE(a_loop_of_handle_request_leaves_no_zombies, *timeout(20)) {
  auto options = quick();
  options.timeout = 10s;
  net::TcpServer<CloseFirst, net::ForkPerRequest> server{
      loopback(), options, net::ForkPerRequest::Options{.max_children = 2}};
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->send("hello");
  }
  while (server.stats().served < 6) server.handle_request();
  for (const auto& client : clients) BOOST_TEST(client->receive_all() == "hello");
  BOOST_TEST(server.policy().children() == 0U);
  BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) == -1);
  server.server_close();
  check_sum(server);
}

BOOST_AUTO_TEST_SUITE_END()
