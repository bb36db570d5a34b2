// Servers for clients on the same host: their files, their clients, and sockets that were bound
// elsewhere.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/server_test.hpp"

namespace {

struct Streams {
  template <class P>
  using Server = net::UnixStreamServer<Echo, P>;
  static std::string ask(const net::Address& address, const std::string& text) {
    return Client(address).ask(text);
  }
};
struct Datagrams {
  template <class P>
  using Server = net::UnixDatagramServer<EchoDatagram, P>;
  static std::string ask(const net::Address& address, const std::string& text) {
    return DatagramClient(address).ask(text);
  }
};
using Kinds = std::tuple<Streams, Datagrams>;

template <class K, class P>
struct Of {
  using Kind = K;
  using Server = typename K::template Server<P>;
};
template <class... P>
using OfEach = std::tuple<Of<Streams, P>..., Of<Datagrams, P>...>;
using All = OfEach<net::ThreadPool, net::ThreadPerRequest, net::ForkPerRequest, net::Inline>;

bool in_use(const std::system_error& error) { return error.code() == std::errc::address_in_use; }

// Leaves the file of a server that did not close.
void leave_a_file(const net::Address& address, net::SocketType type) {
  net::Socket socket(net::Family::unix_domain, type);
  socket.bind(address);
}

struct WhoAreYou : net::StreamRequestHandler {
  void handle() {
    const auto peer = request().peer_credentials();
    wfile.write(std::to_string(peer.process) + " " + std::to_string(peer.user));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_unix, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_path_is_served_and_goes_with_its_server, Case, All) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  {
    typename Case::Server server{net::Address::unix_path(path), quick()};
    Running running(server);
    BOOST_TEST(server.server_address().path() == path);
    for (const std::string text : {"hello", "again"}) {
      BOOST_TEST(Case::Kind::ask(server.server_address(), text) == text);
    }
    BOOST_TEST(std::filesystem::is_socket(path));
    running.stop();
    BOOST_TEST(!std::filesystem::exists(path));
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_abstract_name_is_served, Case, All) {
  const auto address = net::Address::unix_abstract("netserve-test-" + std::to_string(::getpid()) +
                                                   std::string("\0!", 2));
  typename Case::Server server{address, quick()};
  Running running(server);
  BOOST_TEST(server.server_address() == address);
  BOOST_TEST(Case::Kind::ask(address, "hello") == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_file_of_a_dead_server_is_replaced, Kind, Kinds) {
  const ScratchDirectory scratch;
  const auto address = net::Address::unix_path(scratch.path("socket"));
  for (const auto type : {net::SocketType::stream, net::SocketType::datagram}) {
    leave_a_file(address, type);
    typename Kind::template Server<net::ThreadPool> server{address, quick()};
    Running running(server);
    BOOST_TEST(Kind::ask(address, "hello") == "hello");
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_file_of_a_live_server_is_not, Kind, Kinds) {
  const ScratchDirectory scratch;
  const auto address = net::Address::unix_path(scratch.path("socket"));
  typename Kind::template Server<net::ThreadPool> server{address, quick()};
  using Connections = Streams::Server<net::Inline>;
  using Packets = Datagrams::Server<net::Inline>;
  {
    Running running(server);
    BOOST_CHECK_EXCEPTION((Connections{address}), std::system_error, in_use);
    BOOST_CHECK_EXCEPTION((Packets{address}), std::system_error, in_use);
    BOOST_TEST(Kind::ask(address, "unharmed") == "unharmed");
    running.stop();
    BOOST_TEST(server.stats().accepted == 1U);  // the other servers made no connection to check it
  }
}

BOOST_AUTO_TEST_CASE(a_socket_of_another_kind_is_alive_as_well, *timeout(20)) {
  const ScratchDirectory scratch;
  const auto address = net::Address::unix_path(scratch.path("socket"));
  net::Socket foreign(net::Family::unix_domain, net::SocketType::sequenced_packet);
  foreign.bind(address);
  using Server = net::UnixStreamServer<Echo, net::Inline>;
  BOOST_CHECK_EXCEPTION(Server{address}, std::system_error, in_use);
  foreign.listen();
  BOOST_CHECK_EXCEPTION(Server{address}, std::system_error, in_use);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_bound_and_does_not_listen_yet_is_alive, *timeout(20)) {
  const ScratchDirectory scratch;
  const auto address = net::Address::unix_path(scratch.path("socket"));
  auto options = quick();
  options.bind_and_activate = false;
  net::UnixStreamServer<Echo, net::Inline> server{address, options};
  server.server_bind();
  using Second = net::UnixStreamServer<Echo, net::Inline>;
  BOOST_CHECK_EXCEPTION(Second{address}, std::system_error, in_use);
  server.server_activate();
  Running running(server);
  BOOST_TEST(Client(address).ask("hello") == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_socket_is_left_alone, Kind, Kinds) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("precious");
  std::ofstream(path) << "data";
  using Server = typename Kind::template Server<net::Inline>;
  BOOST_CHECK_EXCEPTION(Server{net::Address::unix_path(path)}, std::system_error, in_use);
  BOOST_TEST(std::filesystem::file_size(path) == 4U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_that_is_somebody_elses_now_stays, Kind, Kinds) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  {
    typename Kind::template Server<net::Inline> server{net::Address::unix_path(path), quick()};
    std::filesystem::remove(path);
    leave_a_file(net::Address::unix_path(path), net::SocketType::stream);
    server.server_close();
  }
  BOOST_TEST(std::filesystem::exists(path));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_file_has_the_permissions_that_were_asked_for, Kind, Kinds) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  for (const unsigned mode : {0600U, 0666U, 0700U}) {
    auto options = quick();
    options.unix_mode = mode;
    typename Kind::template Server<net::Inline> server{net::Address::unix_path(path), options};
    struct stat status{};
    BOOST_TEST(::stat(path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777U) == mode);
  }
}

BOOST_AUTO_TEST_CASE(the_server_knows_who_the_client_is, *timeout(20)) {
  net::UnixStreamServer<WhoAreYou> server{net::Address::unix_unnamed(), quick()};
  Running running(server);
  BOOST_TEST(Client(server).receive_all() ==
             std::to_string(::getpid()) + " " + std::to_string(::geteuid()));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_without_a_name_is_served_and_gets_no_reply, Policy,
                              Policies) {
  net::UnixDatagramServer<EchoDatagram, Policy> server{net::Address::unix_unnamed(), quick()};
  Running running(server);
  net::Socket nameless(net::Family::unix_domain, net::SocketType::datagram);
  nameless.sendto(net::bytes("nobody"), server.server_address());
  BOOST_TEST(DatagramClient(server).ask("somebody") == "somebody");
  running.stop();
  BOOST_TEST(server.stats().served == 2U);
  BOOST_TEST(server.stats().replies_dropped == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_is_gone_or_does_not_read_holds_nobody, Policy,
                              Policies) {
  net::UnixDatagramServer<EchoDatagram, Policy> server{net::Address::unix_unnamed(), quick()};
  {
    DatagramClient(server).send("gone");
  }
  Running running(server);
  DatagramClient deaf(server);
  for (int i = 0; i < 200; ++i) deaf.send("and never reads");
  BOOST_TEST(DatagramClient(server).ask("hello") == "hello");
  running.stop();
  const net::Stats stats = server.stats();
  BOOST_TEST(stats.replies + stats.replies_dropped == 202U);
  BOOST_TEST(stats.replies_dropped > 1U);
}

// --- sockets that were bound elsewhere -----------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_listening_socket_is_adopted, Policy, Policies) {
  const ScratchDirectory scratch;
  const auto path = net::Address::unix_path(scratch.path("socket"));
  {
    net::TcpServer<Echo, Policy> tcp{net::create_server(loopback()), quick()};
    net::UnixStreamServer<Echo, Policy> local{net::create_server(path), quick()};
    Running one(tcp);
    Running other(local);
    BOOST_TEST(Client(tcp).ask("hello") == "hello");
    BOOST_TEST(Client(path).ask("hello") == "hello");
  }
  // The owner of the socket removes its file; the server does not.
  BOOST_TEST(std::filesystem::exists(scratch.path("socket")));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_bound_datagram_socket_is_adopted, Policy, Policies) {
  net::Socket socket(net::Family::ipv4, net::SocketType::datagram);
  socket.bind(loopback());
  net::UdpServer<EchoDatagram, Policy> server{std::move(socket), quick()};
  Running running(server);
  BOOST_TEST(DatagramClient(server).ask("hello") == "hello");
}

BOOST_AUTO_TEST_CASE(addresses_and_sockets_are_served_together, *timeout(20)) {
  const std::vector<net::Address> addresses{loopback(), loopback()};
  std::vector<net::Socket> sockets;
  sockets.push_back(net::create_server(loopback()));
  net::TcpServer<Echo> server{std::span<const net::Address>(addresses), std::move(sockets),
                              quick()};
  Running running(server);
  BOOST_TEST(server.listeners() == 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(Client(server.server_address(i)).ask("hello") == "hello");
  }
}

BOOST_AUTO_TEST_CASE(a_socket_of_another_kind_is_not_adopted, *timeout(20)) {
  const auto refuses = [](auto make) {
    try {
      make();
    } catch (const std::system_error& error) {
      return error.code() == std::errc::invalid_argument;
    }
    return false;
  };
  BOOST_TEST(refuses([] {
    net::Socket bound(net::Family::ipv4);
    bound.bind(loopback());
    net::TcpServer<Echo> server{std::move(bound)};
  }));
  BOOST_TEST(refuses([] { net::UnixStreamServer<Echo> server{net::create_server(loopback())}; }));
  BOOST_TEST(refuses([] { net::UdpServer<EchoDatagram> server{net::create_server(loopback())}; }));
  for (const auto type : {net::SocketType::stream, net::SocketType::datagram}) {
    BOOST_TEST(refuses([=] { net::TcpServer<Echo> server{net::Socket(net::Family::ipv4, type)}; }));
    BOOST_TEST(refuses(
        [=] { net::UdpServer<EchoDatagram> server{net::Socket(net::Family::ipv4, type)}; }));
    BOOST_TEST(refuses([=] {
      net::UnixDatagramServer<EchoDatagram> server{net::Socket(net::Family::unix_domain, type)};
    }));
  }
}

BOOST_AUTO_TEST_SUITE_END()
