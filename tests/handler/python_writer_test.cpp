// What CPython's tests of socketserver require of a handler's wfile, for each server of
// connections.

#include <pthread.h>
#include <signal.h>

#include <string>
#include <type_traits>

#include "support/server_test.hpp"

namespace {

struct OverTcp {
  template <class H, class P>
  using Server = net::TcpServer<H, P>;
  static net::Address address() { return loopback(); }
};
struct OverUnix {
  template <class H, class P>
  using Server = net::UnixStreamServer<H, P>;
  static net::Address address() { return net::Address::unix_unnamed(); }
};
using Kinds = std::tuple<OverTcp, OverUnix>;

template <class K, class P>
struct Row {
  using Kind = K;
  template <class H>
  using Server = typename K::template Server<H, P>;
};
template <class K>
using Rows = std::tuple<Row<K, net::Inline>, Row<K, net::ThreadPerRequest>,
                        Row<K, net::ForkPerRequest>, Row<K, net::ThreadPool>>;
using All = decltype(std::tuple_cat(Rows<OverTcp>(), Rows<OverUnix>()));

// Writes, and waits until the client has seen the text.
struct Waiting : net::StreamRequestHandler {
  explicit Waiting(const Gate& gate) : seen(gate) {}
  void handle() {
    wfile.write("hello");
    wfile.write(seen.wait() ? " was seen" : " was not seen");
  }
  const Gate& seen;
};

// Writes by the writer and by the socket.
struct Alternating : net::StreamRequestHandler {
  void handle() {
    wfile.write("one ");
    request().sendall(net::bytes("two "));
    wfile.write("three");
  }
};

// Writes more at once than any socket takes.
struct Large : net::StreamRequestHandler {
  static constexpr std::size_t size = std::size_t{16} << 20U;
  void handle() { wfile.write(pattern(size)); }
};

std::atomic<int> interruptions{0};

extern "C" void interrupt(int) { ++interruptions; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(python_writer, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_written_arrives_without_a_flush, R, All) {
  Gate seen;
  typename R::template Server<Waiting> server{R::Kind::address(), quick(),
                                              [&] { return Waiting(seen); }};
  Running running(server);
  Client client(server);
  BOOST_TEST(client.receive(5) == "hello");
  seen.open();
  BOOST_TEST(client.receive_all() == " was seen");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(wfile_and_the_socket_are_one_stream, R, All) {
  typename R::template Server<Alternating> server{R::Kind::address(), quick()};
  Running running(server);
  BOOST_TEST(Client(server).receive_all() == "one two three");
}

// With Inline, handlers run in the serving thread. The library's own threads block signals.
BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(signals_do_not_cut_a_large_write, K, Kinds) {
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = interrupt;  // without SA_RESTART
  BOOST_REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  interruptions = 0;
  {
    typename K::template Server<Large, net::Inline> server{K::address(), quick()};
    std::thread serving([&] { server.serve_forever(); });
    Client client(server);
    std::string received;
    while (received.size() < Large::size) {
      const std::string some = client.receive(std::size_t{128} * 1024);
      if (some.empty()) break;
      received += some;
      ::pthread_kill(serving.native_handle(), SIGUSR1);
    }
    BOOST_TEST((received == pattern(Large::size)));
    BOOST_TEST(client.sees_end());
    BOOST_TEST(interruptions > 0);
    server.shutdown();
    serving.join();
  }
  ::sigaction(SIGUSR1, &before, nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
