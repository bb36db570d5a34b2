// A server object in several processes: constructed in one and served in another, or copied by a
// fork that has nothing to do with the server.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using support::Forked;

// The process in which the server runs, here and in its children.
pid_t serving = 0;

// An echo. "stop" shuts the server down; "who?" is answered with the process that serves.
template <class Writer>
void answer(net::RequestContext& context, std::string_view text, Writer write) {
  if (text == "stop") context.shutdown();
  write(text == "who?" ? std::to_string(1'000'000'000 + serving) : std::string(text));
}

struct Next : net::StreamRequestHandler {
  net::Next handle() {
    const std::string text(rfile.read_some());
    answer(context(), text, [this](const std::string& words) { wfile.write(words); });
    return net::Next::keep;
  }
};

struct Conversation : net::StreamRequestHandler {
  void handle() {
    for (std::string text(rfile.read_some()); !text.empty(); text = rfile.read_some()) {
      answer(context(), text, [this](const std::string& words) { wfile.write(words); });
    }
  }
};

struct Datagrams : net::DatagramRequestHandler {
  void handle() {
    const auto packet = this->packet();
    const std::string text(reinterpret_cast<const char*>(packet.data()), packet.size());
    answer(context(), text, [this](const std::string& words) { reply(net::bytes(words)); });
  }
};

std::string ask_stream(const net::Address& server, std::string_view text) {
  return Client{server}.ask(text);
}

std::string ask_datagram(const net::Address& server, std::string_view text) {
  return DatagramClient{server}.ask(text);
}

// The kinds of servers, each with its policy.
template <class P>
struct Tcp {
  using Server = net::TcpServer<Next, P>;
  static net::Address address(const ScratchDirectory&) { return loopback(); }
  static constexpr auto ask = ask_stream;
  static constexpr bool stream = true;
};
template <class P>
struct TcpConversation : Tcp<P> {
  using Server = net::TcpServer<Conversation, P>;
};
template <class P>
struct Udp : Tcp<P> {
  using Server = net::UdpServer<Datagrams, P>;
  static constexpr auto ask = ask_datagram;
  static constexpr bool stream = false;
};
template <class P>
struct UnixStream {
  using Server = net::UnixStreamServer<Next, P>;
  static net::Address address(const ScratchDirectory& scratch) {
    return net::Address::unix_path(scratch.path("s"));
  }
  static constexpr auto ask = ask_stream;
  static constexpr bool stream = true;
};
template <class P>
struct UnixDatagram : UnixStream<P> {
  using Server = net::UnixDatagramServer<Datagrams, P>;
  static constexpr auto ask = ask_datagram;
  static constexpr bool stream = false;
};

template <class... P>
using AllOf =
    std::tuple<Tcp<P>..., TcpConversation<P>..., Udp<P>..., UnixStream<P>..., UnixDatagram<P>...>;
using All = AllOf<net::ThreadPool, net::ThreadPerRequest, net::ForkPerRequest, net::Inline>;

// Serves until a client sends "stop"; returns 0 if all went well.
int serve(net::BaseServer& server) {
  serving = ::getpid();
  server.serve_forever();
  server.server_close(5s);
  const net::Stats stats = server.stats();
  return stats.accepted == stats.ended() && stats.requests > 0 ? 0 : 1;
}

// Uses a copy of a server in every way except serving.
int use_copy(std::unique_ptr<net::BaseServer> server) {
  const net::Address address = server->server_address();
  server->stats();
  server->restart();
  server->shutdown();
  server->kill_children();
  server->server_close(1s);
  const bool closed = server->fileno() == -1;
  const bool same = server->server_address() == address;
  server.reset();
  return closed && same ? 0 : 1;
}

bool is_there(const net::Address& address) {
  struct stat status{};
  return ::lstat(address.path().c_str(), &status) == 0;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_process, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_server_that_was_made_before_a_fork_serves_after_it, K, All) {
  const ScratchDirectory scratch;
  auto server = std::make_unique<typename K::Server>(K::address(scratch), quick());
  const net::Address address = server->server_address();
  Gate left;
  Forked child([&] {
    left.wait();
    return serve(*server);
  });
  server.reset();  // as in a parent that returns from main
  left.open();
  BOOST_TEST(K::ask(address, "hello") == "hello");
  BOOST_TEST(K::ask(address, "again") == "again");
  BOOST_TEST(K::ask(address, "stop") == "stop");
  BOOST_TEST(child.status() == 0);
  if (!address.path().empty()) BOOST_TEST(!is_there(address));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_daemon_serves_what_its_parent_made, K, All) {
  const ScratchDirectory scratch;
  const Shared<std::atomic<int>> status;
  const Shared<std::atomic<std::uint16_t>> port;
  *status = -1;
  Gate made;
  Gate ended;
  Forked parent([&] {
    typename K::Server server{K::address(scratch), quick()};
    if (server.server_address().path().empty()) *port = server.server_address().port();
    if (::daemon(1, 1) != 0) return 1;
    made.open();
    *status = serve(server);
    ended.open();
    return 0;
  });
  BOOST_TEST(parent.status() == 0);
  BOOST_TEST_REQUIRE(made.wait());
  const net::Address address = *port != 0 ? net::Address{"127.0.0.1", *port} : K::address(scratch);
  BOOST_TEST(K::ask(address, "hello") == "hello");
  BOOST_TEST(K::ask(address, "stop") == "stop");
  BOOST_TEST(ended.wait());
  BOOST_TEST(*status == 0);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_copy_takes_nothing_from_a_server_that_serves, K, All) {
  const ScratchDirectory scratch;
  auto server = std::make_unique<typename K::Server>(K::address(scratch), quick());
  const net::Address address = server->server_address();
  Running running{*server};
  BOOST_TEST(K::ask(address, "hello") == "hello");
  // One connection that is parked, and one that is being served or waits for that.
  std::optional<Client> parked;
  std::optional<Client> served;
  // With Inline, a conversation occupies the only thread.
  const bool one_only = std::is_same_v<K, TcpConversation<net::Inline>>;
  if (K::stream && !one_only) {
    parked.emplace(address);
    served.emplace(address);
    BOOST_TEST(served->ask("hello") == "hello");
  }
  Forked copy([&] { return use_copy(std::move(server)); });
  BOOST_TEST(copy.status() == 0);
  if (parked) {
    BOOST_TEST(parked->ask("still") == "still");
    BOOST_TEST(served->ask("here") == "here");
  }
  BOOST_TEST(K::ask(address, "hello") == "hello");
  if (!address.path().empty()) BOOST_TEST(is_there(address));
  parked.reset();
  served.reset();
  BOOST_TEST(K::ask(address, "stop") == "stop");
  running.join();
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_copy_takes_nothing_from_a_server_that_will_serve, K, All) {
  const ScratchDirectory scratch;
  auto server = std::make_unique<typename K::Server>(K::address(scratch), quick());
  Forked copy([&] { return use_copy(std::move(server)); });
  BOOST_TEST(copy.status() == 0);
  Running running{*server};
  BOOST_TEST(K::ask(server->server_address(), "hello") == "hello");
  BOOST_TEST(K::ask(server->server_address(), "stop") == "stop");
  running.join();
}

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(two_processes_serve_one_listener, P, Policies) {
  net::TcpServer<Next, P> server{loopback(), quick()};
  serving = ::getpid();
  Running running{server};
  Client before{server};
  BOOST_TEST(before.ask("hello") == "hello");
  const net::Address child_address = server.server_address();
  Forked child([&] { return serve(server); });
  // A connection that the parent accepted stays with the parent.
  BOOST_TEST(before.ask("hello") == "hello");
  std::set<std::string> processes;
  const auto both_served = [&] {
    Client client{server};
    client.send("who?");
    processes.insert(client.receive(10));
    return processes.size() == 2;
  };
  BOOST_TEST(soon(both_served, 20s));
  before.end_sending();
  BOOST_TEST(before.sees_end());
  running.stop();
  // The child's server still serves.
  BOOST_TEST(ask_stream(child_address, "hello") == "hello");
  BOOST_TEST(ask_stream(child_address, "stop") == "stop");
  BOOST_TEST(child.status() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
