// Servers of datagrams, of each family and under each policy.

#include <algorithm>
#include <ctime>
#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

template <net::Family family, class P>
struct On {
  using Policy = P;
  template <class H>
  using Server = std::conditional_t<family == net::Family::unix_domain,
                                    net::UnixDatagramServer<H, P>, net::UdpServer<H, P>>;
  static net::Address address() {
    switch (family) {
      case net::Family::ipv4: return {"127.0.0.1", 0};
      case net::Family::ipv6: return {"::1", 0};
      default: return net::Address::unix_unnamed();
    }
  }
};
template <net::Family family>
using OnEach = std::tuple<On<family, net::ThreadPool>, On<family, net::ThreadPerRequest>,
                          On<family, net::ForkPerRequest>, On<family, net::Inline>>;
using All = decltype(std::tuple_cat(OnEach<net::Family::ipv4>(), OnEach<net::Family::ipv6>(),
                                    OnEach<net::Family::unix_domain>()));

// Answers with a description of the packet. It does not answer an empty one, and sends two
// datagrams for "two".
struct Describe : net::DatagramRequestHandler {
  void setup() override { wfile.write("<"); }
  void handle() {
    if (packet().empty()) {
      reply("empty");
      throw std::runtime_error("no half answers");
    }
    const auto text = rfile.read_some();
    if (text == "two") reply("one more");
    wfile.write(text.substr(0, 20));
    if (datagram().truncated()) wfile.write(" of " + std::to_string(datagram().whole_size()));
    if (rfile.read_line() || context().server_address() != context().local_address()) {
      wfile.write(" and more");
    }
  }
  void finish() override { wfile.write(">"); }
};

struct Silent : net::DatagramRequestHandler {
  void handle() {
    if (rfile.read_some() == "speak") wfile.write("spoken");
  }
};

// Has no base class: it is constructed from its context.
class Bare {
 public:
  explicit Bare(net::RequestContext& context) : context_(context) {}
  void handle() {
    try {
      context_.detach();
    } catch (const std::system_error& error) {
      const bool expected = error.code() == std::errc::operation_not_supported;
      context_.datagram()->reply(net::bytes(expected ? "not detached" : error.what()));
    }
  }

 private:
  net::RequestContext& context_;
};

// Waits for the gate when it gets "wait".
struct Waiting : net::DatagramRequestHandler {
  explicit Waiting(const Gate& opened) : gate(opened) {}
  void handle() {
    if (rfile.read_some() == "wait") gate.wait();
    reply(packet());
  }
  const Gate& gate;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_datagram, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(each_datagram_is_answered, Case, All) {
  typename Case::template Server<EchoDatagram> server{Case::address(), quick()};
  Running running(server);
  DatagramClient one(server);
  DatagramClient other(server);
  for (const std::string text : {"hello", "", "x"}) {
    one.send(text);
    other.send(text + "!");
    BOOST_TEST(one.receive() == text);
    BOOST_TEST(other.receive() == text + "!");
  }
  const std::string large = pattern(8192);
  BOOST_TEST((one.ask(large) == large));
  running.stop();
  const net::Stats stats = server.stats();
  BOOST_TEST(stats.served == 7U);
  BOOST_TEST(stats.requests == 7U);
  BOOST_TEST(stats.replies == 7U);
  BOOST_TEST(stats.replies_dropped == 0U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_is_given_the_packet_and_its_size, Case, All) {
  auto options = quick();
  options.max_packet_size = 20;
  QuietHooks hooks;
  typename Case::template Server<Describe> server{Case::address(), options, hooks};
  Running running(server);
  DatagramClient client(server);
  BOOST_TEST(client.ask("hello") == "<hello>");
  BOOST_TEST(client.ask(std::string(20, 'a')) == "<" + std::string(20, 'a') + ">");
  BOOST_TEST(client.ask(std::string(2000, 'a')) == "<" + std::string(20, 'a') + " of 2000>");
  BOOST_TEST(client.ask("two") == "one more");
  BOOST_TEST(client.receive() == "<two>");
  // The reply has been sent; text that was only written has not.
  BOOST_TEST(client.ask("") == "empty");
  BOOST_TEST(client.ask("last") == "<last>");
  running.stop();
  BOOST_TEST(server.stats().failed == 1U);
  BOOST_TEST(server.stats().handler_errors == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_writes_nothing_sends_nothing, Case, All) {
  typename Case::template Server<Silent> server{Case::address(), quick()};
  Running running(server);
  DatagramClient client(server);
  client.send("be quiet");
  client.send("");
  BOOST_TEST(client.ask("speak") == "spoken");
  running.stop();
  BOOST_TEST(server.stats().served == 3U);
  BOOST_TEST(server.stats().replies == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_needs_no_base_and_detaches_nothing, Case, All) {
  typename Case::template Server<Bare> server{Case::address(), quick()};
  Running running(server);
  BOOST_TEST(DatagramClient(server).ask("?") == "not detached");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_may_be_refused, Case, All) {
  struct Doorkeeper : QuietHooks {
    bool verify_request(const net::Socket& socket, const net::Address& client) override {
      if (calls++ == 1) throw std::runtime_error("thrown by a test");
      return socket.fileno() >= 0 && client.family() != net::Family::unspecified && calls > 2;
    }
    std::atomic<int> calls{0};
  } hooks;
  typename Case::template Server<EchoDatagram> server{Case::address(), quick(), hooks,
                                                      at_once<typename Case::Policy>(1)};
  Running running(server);
  DatagramClient client(server);
  client.send("refused");
  BOOST_TEST(soon([&] { return server.stats().refused == 1; }));
  client.send("failed");
  BOOST_TEST(soon([&] { return server.stats().failed == 1; }));
  BOOST_TEST(client.ask("welcome") == "welcome");
  running.stop();
  BOOST_TEST(server.stats().hook_errors == 1U);
  BOOST_TEST(hooks.errors == 1);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_the_kernel_has_is_answered_before_the_close, Case, All) {
  typename Case::template Server<EchoDatagram> server{Case::address(), quick()};
  DatagramClient client(server);
  for (int i = 0; i < 10; ++i) client.send(std::to_string(i));
  const net::DrainReport report = server.server_close(5s);
  BOOST_TEST(report.drained == 10U);
  std::set<std::string> answers;
  for (int i = 0; i < 10; ++i) answers.insert(client.receive());
  BOOST_TEST(answers.size() == 10U);
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_that_was_shut_down_serves_again, Case, All) {
  typename Case::template Server<EchoDatagram> server{Case::address(), quick()};
  DatagramClient client(server);
  for (const std::string text : {"first", "second"}) {
    std::thread serving([&] { server.serve_forever(); });
    BOOST_TEST(client.ask(text) == text);
    server.shutdown();
    serving.join();
    client.send("meanwhile");
    server.restart();
    std::thread again([&] { server.serve_forever(); });
    BOOST_TEST(client.receive() == "meanwhile");
    server.shutdown();
    again.join();
    server.restart();
  }
  server.server_close();
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(handle_request_serves_one, Case, All) {
  struct Hooks : net::ServerHooks {
    void handle_timeout() override { ++timeouts; }
    int timeouts = 0;
  } hooks;
  auto options = quick();
  options.timeout = 20ms;
  typename Case::template Server<EchoDatagram> server{Case::address(), options, hooks};
  DatagramClient client(server);
  server.handle_request();
  BOOST_TEST(hooks.timeouts == 1);
  client.send("one");
  client.send("two");
  server.handle_request();
  BOOST_TEST(client.receive() == "one");
  BOOST_TEST(server.stats().accepted == 1U);
  server.handle_request();
  BOOST_TEST(client.receive() == "two");
  BOOST_TEST(hooks.timeouts == 1);
  server.server_close();
  check_sum(server);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_that_waits_keeps_nobody_else_waiting, Policy, Concurrent) {
  Gate gate;
  net::UdpServer<Waiting, Policy> server{loopback(), quick(), at_once<Policy>(4),
                                         [&] { return Waiting(gate); }};
  Running running(server);
  DatagramClient slow(server);
  for (int i = 0; i < 3; ++i) slow.send("wait");
  DatagramClient quick_one(server);
  for (int i = 0; i < 100; ++i) BOOST_TEST(quick_one.ask("quick") == "quick");
  gate.open();
  for (int i = 0; i < 3; ++i) BOOST_TEST(slow.receive() == "wait");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(those_beyond_the_limit_wait_in_the_kernel, Policy, Concurrent) {
  Gate gate;
  auto options = quick();
  options.max_connections = 2;
  net::UdpServer<Waiting, Policy> server{loopback(), options, at_once<Policy>(2),
                                         [&] { return Waiting(gate); }};
  Running running(server);
  DatagramClient client(server);
  for (int i = 0; i < 20; ++i) client.send("wait");
  BOOST_TEST(soon([&] { return server.stats().accepted >= 2; }));
  BOOST_TEST(server.stats().accepted == 2U);
  gate.open();
  for (int i = 0; i < 20; ++i) BOOST_TEST(client.receive() == "wait");
  BOOST_TEST(client.ask("more") == "more");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(those_beyond_the_limit_may_be_told, Policy, Concurrent) {
  struct Busy : net::ServerHooks {
    std::string on_overload(const net::Address&) override { return "busy"; }
  } hooks;
  Gate gate;
  auto options = quick();
  options.max_connections = 2;
  options.overload = net::Overload::reject;
  net::UdpServer<Waiting, Policy> server{loopback(), options, at_once<Policy>(2), hooks,
                                         [&] { return Waiting(gate); }};
  Running running(server);
  DatagramClient slow(server);
  for (int i = 0; i < 2; ++i) slow.send("wait");
  BOOST_TEST(soon([&] { return server.stats().active == 2; }));
  DatagramClient late(server);
  BOOST_TEST(late.ask("late") == "busy");
  gate.open();
  for (int i = 0; i < 2; ++i) BOOST_TEST(slow.receive() == "wait");
  BOOST_TEST(soon([&] { return server.stats().active == 0; }));
  BOOST_TEST(late.ask("late") == "late");
  running.stop();
  BOOST_TEST(server.stats().shed_rejected == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_reply_leaves_from_the_address_that_was_asked, Policy, Policies) {
  net::UdpServer<EchoDatagram, Policy> server{net::Address{"0.0.0.0", 0}, quick()};
  Running running(server);
  for (const char* host : {"127.0.0.1", "127.0.0.2"}) {
    // A connected socket receives only from its peer.
    net::Socket client(net::Family::ipv4, net::SocketType::datagram);
    client.connect({host, server.server_address().port()});
    client.settimeout(5s);
    client.sendall(net::bytes("from where?"));
    std::array<std::byte, 100> answer{};
    BOOST_TEST(client.recv(answer) == 11U);
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_dual_stack_server_answers_both_families, Policy, Policies) {
  auto options = quick();
  options.dualstack = true;
  net::UdpServer<EchoDatagram, Policy> server{net::Address{"::", 0}, options};
  Running running(server);
  const auto port = server.server_address().port();
  for (const net::Address& address : {net::Address{"127.0.0.1", port},
                                      net::Address{"127.0.0.2", port}, net::Address{"::1", port}}) {
    net::Socket client(address.family(), net::SocketType::datagram);
    client.connect(address);
    client.settimeout(5s);
    client.sendall(net::bytes("either"));
    std::array<std::byte, 100> answer{};
    BOOST_TEST(client.recv(answer) == 6U);
  }
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(each_datagram_is_answered_or_counted, Policy, ThreadPolicies) {
  constexpr int senders = 4;
  constexpr int each = 5000;
  net::UdpServer<EchoDatagram, Policy> server{loopback(), quick()};
  Running running(server);
  std::vector<std::jthread> sending;
  for (int i = 0; i < senders; ++i) {
    sending.emplace_back([&] {
      DatagramClient client(server);
      for (int n = 0; n < each; ++n) client.send("one of many");
    });
  }
  sending.clear();
  const auto counted = [&] {
    const net::Stats stats = server.stats();
    return stats.replies + stats.replies_dropped + stats.datagrams_lost;
  };
  BOOST_TEST(soon([&] { return counted() == senders * each; }, 20s));
  running.stop();
  BOOST_TEST(counted() == std::uint64_t{senders * each});
  BOOST_TEST(server.stats().accepted + server.stats().datagrams_lost ==
             std::uint64_t{senders * each});
}

BOOST_AUTO_TEST_CASE(servers_of_both_kinds_share_a_pool, *timeout(20)) {
  net::SharedPolicy<net::ThreadPool> pool{{.workers = 2}};
  net::TcpServer<Echo, net::ThreadPool> connections{loopback(), quick(), pool};
  Running running(connections);
  {
    net::UdpServer<EchoDatagram> datagrams{loopback(), quick(), pool};
    Running too(datagrams);
    BOOST_TEST(DatagramClient(datagrams).ask("datagram") == "datagram");
    BOOST_TEST(Client(connections).ask("stream") == "stream");
  }
  BOOST_TEST(Client(connections).ask("still") == "still");
}

BOOST_AUTO_TEST_CASE(servers_of_both_kinds_fit_in_one_poll_loop, *timeout(20)) {
  net::TcpServer<EchoConversation, net::Inline> connections{loopback(), quick()};
  net::UdpServer<EchoDatagram, net::Inline> datagrams{loopback(), quick()};
  DatagramClient asks(datagrams);
  Client connected(connections);
  connected.send("stream");
  connected.end_sending();
  asks.send("datagram");
  for (net::BaseServer* server :
       {static_cast<net::BaseServer*>(&datagrams), static_cast<net::BaseServer*>(&connections)}) {
    net::Socket polled = net::Socket::adopt_unchecked(server->fileno());
    BOOST_TEST(polled.wait_to_receive(5s));
    polled.detach();
    server->handle_request();
  }
  BOOST_TEST(asks.receive() == "datagram");
  BOOST_TEST(connected.receive_all() == "stream");
}

BOOST_AUTO_TEST_CASE(listeners_that_have_more_than_enough_take_turns, *timeout(20)) {
  constexpr int each = 150;
  // Opens the gate when the server has served all of them.
  struct Opening : net::ServerHooks {
    void service_actions() override { gate.open(); }
    Gate gate;
  } hooks;
  std::vector<std::uint16_t> ports;
  struct Note : net::DatagramRequestHandler {
    Note(std::vector<std::uint16_t>& noted, const Gate& opened) : ports(noted), gate(opened) {}
    void handle() {
      gate.wait();
      ports.push_back(context().local_address().port());
    }
    std::vector<std::uint16_t>& ports;
    const Gate& gate;
  };
  const std::vector<net::Address> addresses(3, loopback());
  net::UdpServer<Note> server{std::span<const net::Address>(addresses), quick(), hooks,
                              net::ThreadPool::Options{.workers = 1},
                              [&] { return Note(ports, hooks.gate); }};
  for (std::size_t i = 0; i < 3; ++i) {
    DatagramClient client(server.server_address(i));
    for (int n = 0; n < each; ++n) client.send("one of many");
  }
  Running running(server);
  BOOST_TEST(soon([&] { return server.stats().served == 3 * each; }));
  running.stop();
  // Each listener has its share of the first requests.
  for (std::size_t i = 0; i < 3; ++i) {
    const auto port = server.server_address(i).port();
    BOOST_TEST(std::count(ports.begin(), ports.begin() + 200, port) >= 50);
  }
}

BOOST_AUTO_TEST_CASE(a_socket_that_somebody_else_shuts_down_makes_nobody_spin, *timeout(20)) {
  const ScratchDirectory scratch;
  net::Socket listening = net::create_server(net::Address::unix_path(scratch.path("stream")));
  net::Socket bound(net::Family::unix_domain, net::SocketType::datagram);
  bound.bind(net::Address::unix_path(scratch.path("datagram")));
  const net::Socket shared = listening.dup();
  const net::Socket also_shared = bound.dup();
  net::UnixStreamServer<Echo> streams{std::move(listening), quick()};
  net::UnixDatagramServer<EchoDatagram> datagrams{std::move(bound), quick()};
  Running one(streams);
  Running other(datagrams);
  net::Socket::adopt_unchecked(shared.dup().detach()).shutdown(net::ShutdownHow::read);
  net::Socket::adopt_unchecked(also_shared.dup().detach()).shutdown(net::ShutdownHow::read);
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(300ms);  // time itself is what is tested
  BOOST_TEST(std::clock() - before < CLOCKS_PER_SEC / 10);
}

BOOST_AUTO_TEST_CASE(a_server_serves_addresses_of_its_own_kind_alone, *timeout(20)) {
  const auto refuses = [](auto make) {
    try {
      make();
    } catch (const std::system_error& error) {
      return error.code() == std::errc::invalid_argument;
    }
    return false;
  };
  const net::Address unix_address = net::Address::unix_unnamed();
  BOOST_TEST(refuses([&] { net::UdpServer<EchoDatagram> server{unix_address}; }));
  BOOST_TEST(refuses([&] { net::TcpServer<Echo> server{unix_address}; }));
  BOOST_TEST(refuses([&] { net::UnixStreamServer<Echo> server{loopback()}; }));
  BOOST_TEST(refuses([&] { net::UnixDatagramServer<EchoDatagram> server{loopback()}; }));
}

BOOST_AUTO_TEST_CASE(two_servers_do_not_get_one_port, *timeout(20)) {
  net::UdpServer<EchoDatagram, net::Inline> server{loopback(), quick()};
  using Second = net::UdpServer<EchoDatagram, net::Inline>;
  BOOST_CHECK_EXCEPTION(Second{server.server_address()}, std::system_error, [](const auto& error) {
    return error.code() == std::errc::address_in_use;
  });
}

BOOST_AUTO_TEST_SUITE_END()
