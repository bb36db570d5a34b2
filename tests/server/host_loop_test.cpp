// A server in a poll loop of the program's own: limits and pauses work there as in serve_forever,
// and nothing wakes the program up while nothing is due.

#include <poll.h>
#include <sys/resource.h>

#include <string>
#include <system_error>

#include "support/server_test.hpp"

namespace {

// Polls a server's descriptor without a timeout, in a thread of its own, until the server is
// closed.
class HostLoop {
 public:
  explicit HostLoop(net::BaseServer& server)
      : server_(server), thread_([this, descriptor = server.fileno()] { serve(descriptor); }) {}
  HostLoop(const HostLoop&) = delete;
  HostLoop& operator=(const HostLoop&) = delete;
  ~HostLoop() {
    const net::DrainReport report = server_.server_close(5s);
    thread_.join();
    BOOST_TEST(learned_of_the_end_);
    if (report.stuck == 0) check_sum(server_);
  }

  // How often the poll returned.
  int polls() const { return polls_; }

 private:
  void serve(int descriptor) {
    try {
      for (;;) {
        pollfd polled{descriptor, POLLIN, 0};
        ::poll(&polled, 1, -1);
        ++polls_;
        server_.handle_request();
      }
    } catch (const std::system_error& error) {
      learned_of_the_end_ = error.code() == std::errc::bad_file_descriptor;
    }
  }

  net::BaseServer& server_;
  std::atomic<int> polls_{0};
  bool learned_of_the_end_ = false;
  std::thread thread_;
};

net::ServerOptions with(net::Limits limits = {}) {
  net::ServerOptions options = quick();
  options.timeout = 0s;
  options.limits = limits;
  return options;
}

bool comes_to(const net::BaseServer& server, std::uint64_t net::Stats::* counter,
              std::uint64_t value) {
  return soon([&] { return server.stats().*counter == value; });
}

// Answers with more than a slow reader takes.
struct Sender : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write(pattern(200'000));
    return net::Next::keep;
  }
};

struct Closing : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write("bye");
    return net::Next::close;
  }
};

// Occupies its thread or child until the gate opens.
struct Holding : net::StreamRequestHandler {
  Holding(Gate& entering, const Gate& opening) : entered(entering), released(opening) {}
  void handle() {
    entered.open();
    released.wait();
  }
  Gate& entered;
  const Gate& released;
};

struct HoldingDatagram : net::DatagramRequestHandler {
  HoldingDatagram(Gate& entering, const Gate& opening) : entered(entering), released(opening) {}
  void handle() {
    entered.open();
    released.wait();
    reply(packet());
  }
  Gate& entered;
  const Gate& released;
};

struct Silent : net::ServerHooks {
  void report(const net::Event&) override {}
};

// While an object of this class exists, this process can open no descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{3, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_host_loop, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(half_a_request_is_cut_in_a_host_loop, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), with({.request = 100ms})};
  const HostLoop loop{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  client.send("half");
  BOOST_TEST(client.is_closed());
  BOOST_TEST(comes_to(server, &net::Stats::timed_out, 1));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(silent_clients_are_closed_in_a_host_loop, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), with({.idle = 100ms})};
  const HostLoop loop{server};
  Client never_spoke{server};
  Client spoke{server};
  BOOST_TEST(spoke.ask("hello") == "hello");
  BOOST_TEST(never_spoke.sees_end());
  BOOST_TEST(spoke.sees_end());
  BOOST_TEST(comes_to(server, &net::Stats::closed_idle, 2));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_takes_nothing_is_cut_in_a_host_loop, Policy, Policies) {
  SmallBuffers hooks;
  net::TcpServer<Sender, Policy> server{loopback(), with({.send = 100ms}), hooks};
  const HostLoop loop{server};
  Client deaf{Client::slow_reader(server)};
  deaf.send("x");
  BOOST_TEST(comes_to(server, &net::Stats::timed_out, 1));
  BOOST_TEST(deaf.is_closed());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(lingering_ends_in_a_host_loop, Policy, Policies) {
  net::TcpServer<Closing, Policy> server{loopback(), with()};
  const HostLoop loop{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(client.receive_all() == "bye");
  BOOST_TEST(comes_to(server, &net::Stats::served, 1));
  // The client keeps its end open.
  BOOST_TEST(comes_to(server, &net::Stats::lingering, 0));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_waiting_conversation_is_shed_in_a_host_loop, Policy, Concurrent) {
  Gate entered;
  Gate released;
  net::TcpServer<Holding, Policy> server{loopback(), with({.request = 100ms}), at_once<Policy>(1),
                                         [&] { return Holding(entered, released); }};
  const HostLoop loop{server};
  Client first{server};
  BOOST_TEST(entered.wait());
  Client second{server};
  BOOST_TEST(second.sees_end());
  BOOST_TEST(comes_to(server, &net::Stats::shed_waiting, 1));
  released.open();
  BOOST_TEST(first.sees_end());
}

BOOST_AUTO_TEST_CASE(a_waiting_datagram_is_shed_in_a_host_loop, *timeout(20)) {
  Gate entered;
  Gate released;
  net::UdpServer<HoldingDatagram, net::ThreadPerRequest> server{
      loopback(), with({.request = 100ms}), at_once<net::ThreadPerRequest>(1),
      [&] { return HoldingDatagram(entered, released); }};
  const HostLoop loop{server};
  DatagramClient client{server};
  client.send("one");
  BOOST_TEST(entered.wait());
  client.send("two");
  BOOST_TEST(comes_to(server, &net::Stats::shed_waiting, 1));
  released.open();
  BOOST_TEST(client.receive() == "one");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(accepting_resumes_in_a_host_loop, Policy, Policies) {
  Silent hooks;
  net::TcpServer<Echo, Policy> server{loopback(), with(), hooks};
  const HostLoop loop{server};
  Client established{server};
  BOOST_TEST(established.ask("one") == "one");
  net::Socket socket(net::Family::ipv4);
  {
    const NoDescriptors none;
    socket.connect(server.server_address(), 10s);
    BOOST_TEST(soon([&] { return server.stats().accept_errors >= 2; }));
  }
  Client client{std::move(socket)};
  BOOST_TEST(client.ask("two") == "two");
}

// The connection that the server wants to evict is busy at first.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(eviction_is_tried_again_in_a_host_loop, Policy, Policies) {
  net::ServerOptions options = with();
  options.max_connections = 1;
  options.overload = net::Overload::evict_idle;
  net::TcpServer<LineEcho, Policy> server{loopback(), options};
  const HostLoop loop{server};
  Client first{server};
  first.send("o");
  BOOST_TEST(comes_to(server, &net::Stats::accepted, 1));
  Client second{server};
  second.send("two\n");
  first.send("ne\n");
  BOOST_TEST(first.receive(4) == "one\n");
  BOOST_TEST(second.receive(4) == "two\n");
  BOOST_TEST(first.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_host_loop_is_not_woken_in_vain, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(),
                                      with({.request = 2400ms, .idle = 2400ms, .send = 2400ms})};
  const HostLoop loop{server};
  std::this_thread::sleep_for(50ms);
  BOOST_TEST(loop.polls() == 0);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    BOOST_TEST(clients.back()->ask("hello") == "hello");
  }
  // The event for the last answer may not have arrived yet.
  std::this_thread::sleep_for(50ms);
  const int polls = loop.polls();
  std::this_thread::sleep_for(500ms);
  BOOST_TEST(loop.polls() == polls);
}

BOOST_AUTO_TEST_SUITE_END()
