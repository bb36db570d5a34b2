#include <fcntl.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.handler;

using boost::unit_test::timeout;
using namespace std::chrono_literals;

namespace {

const net::Address client("192.0.2.1", 1234);
const net::Address server("192.0.2.2", 80);

// Stands for the server that calls a handler.
class Context final : public net::RequestContext {
 public:
  explicit Context(net::Socket connection) : RequestContext(std::move(connection), client, {}) {}

  const net::Address& server_address() const noexcept override { return server; }
  void shutdown() noexcept override { stop = true; }
  bool stopping() const noexcept override { return stop; }
  net::Stats stats() const override { return {.accepted = 7, .served = 3, .cut = 2}; }

  bool stop = false;
  int changes = 0;

 private:
  void limits_changed() override { ++changes; }
};

// A connection whose other end the test holds.
struct Connection {
  explicit Connection(std::pair<net::Socket, net::Socket> pair = net::socket_pair())
      : peer(std::move(pair.first)), context(std::move(pair.second)) {}

  std::string receive() {
    std::string text(1000, '\0');
    text.resize(peer.recv(std::as_writable_bytes(std::span(text))));
    return text;
  }

  net::Socket peer;
  Context context;
};

struct Upper : net::StreamRequestHandler {
  void setup() override { wfile.write("hello\n"); }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    std::string answer(*line);
    for (char& letter : answer) {
      if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    }
    wfile.write(answer);
    return net::Next::keep;
  }
  void finish() override { wfile.write("bye\n"); }
};

// Makes the protected members public.
struct Plain : net::BaseRequestHandler {
  using BaseRequestHandler::client_address;
  using BaseRequestHandler::context;
  using BaseRequestHandler::request;
};

struct Open : net::StreamRequestHandler {
  using BaseRequestHandler::context;
  using StreamRequestHandler::rfile;
  using StreamRequestHandler::wfile;
};

}  // namespace

static_assert(!std::is_copy_constructible_v<Upper> && !std::is_move_constructible_v<Upper>);
static_assert(std::has_virtual_destructor_v<net::BaseRequestHandler>);

BOOST_AUTO_TEST_CASE(a_handler_runs_without_a_server, *timeout(10)) {
  Connection connection;
  Upper handler;
  handler.attach(connection.context);
  handler.setup();
  BOOST_TEST(connection.receive() == "hello\n");
  connection.peer.sendall(net::bytes("one\ntwo\n"));
  BOOST_TEST((handler.handle() == net::Next::keep));
  BOOST_TEST((handler.handle() == net::Next::keep));
  BOOST_TEST(connection.receive() == "ONE\nTWO\n");
  connection.peer.shutdown(net::ShutdownHow::write);
  BOOST_TEST((handler.handle() == net::Next::close));
  handler.finish();
  BOOST_TEST(connection.receive() == "bye\n");
}

BOOST_AUTO_TEST_CASE(an_attached_handler_sees_its_connection_and_its_server, *timeout(10)) {
  Connection connection;
  Plain handler;
  handler.attach(connection.context);
  BOOST_TEST(&handler.context() == &connection.context);
  BOOST_TEST(&handler.request() == &connection.context.socket());
  BOOST_TEST(handler.client_address() == client);
  BOOST_TEST(handler.context().server_address() == server);
  BOOST_TEST(handler.context().stats().accepted == 7U);
  BOOST_TEST(handler.context().stats().ended() == 5U);
  BOOST_TEST(!handler.context().stopping());
  handler.context().shutdown();
  BOOST_TEST(handler.context().stopping());
  BOOST_CHECK_NO_THROW(handler.setup());
  BOOST_CHECK_NO_THROW(handler.finish());
}

BOOST_AUTO_TEST_CASE(a_context_knows_our_end_and_the_peers, *timeout(10)) {
  net::Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  net::Socket peer = net::create_connection(listener.getsockname());
  Context context(listener.accept().first);
  BOOST_TEST(context.local_address() == listener.getsockname());
  BOOST_TEST(context.client_address() == client);
  context.socket().close();
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { context.local_address(); }));
}

BOOST_AUTO_TEST_CASE(reader_and_writer_share_the_buffers_of_the_context, *timeout(10)) {
  Connection connection;
  Open handler;
  handler.attach(connection.context);
  connection.peer.sendall(net::bytes("ab"));
  BOOST_TEST(handler.rfile.read_some(1) == "a");
  BOOST_TEST(connection.context.stream().input().size() == 1U);
  handler.wfile.write("x");
  handler.wfile.flush();
  BOOST_TEST(connection.receive() == "x");
}

BOOST_AUTO_TEST_CASE(limits_are_the_servers_until_set, *timeout(10)) {
  Connection connection;
  auto& context = connection.context;
  BOOST_TEST((context.limits().request == 20s));
  BOOST_TEST((context.limits().idle == 60s));
  BOOST_TEST((context.limits().send == 30s));
  BOOST_TEST(context.changes == 0);
  context.set_limits({.request = 1s, .idle = 2s, .send = 3s});
  BOOST_TEST((context.limits().request == 1s));
  BOOST_TEST((context.limits().idle == 2s));
  BOOST_TEST((context.limits().send == 3s));
  BOOST_TEST(context.changes == 1);
}

BOOST_AUTO_TEST_CASE(a_deadline_of_the_context_bounds_reading_and_writing, *timeout(10)) {
  Connection connection;
  Open handler;
  handler.attach(connection.context);
  connection.context.socket().settimeout(1h);
  connection.context.set_deadline(20ms);
  BOOST_CHECK_THROW(handler.rfile.read_line(), net::TimeoutError);
  BOOST_CHECK_THROW(handler.wfile.write(std::string(4UL * 1024 * 1024, 'x')), net::TimeoutError);
}

BOOST_AUTO_TEST_CASE(a_detached_connection_is_an_ordinary_socket, *timeout(10)) {
  Connection connection;
  auto& context = connection.context;
  context.socket().settimeout(1s);
  context.socket().set_deadline(net::Deadline(-1s));
  const int number = context.socket().fileno();
  BOOST_TEST(!context.detached());
  net::Socket own = context.detach();
  BOOST_TEST(context.detached());
  BOOST_TEST(context.socket().fileno() == -1);
  BOOST_TEST(own.fileno() == number);
  BOOST_TEST((own.gettimeout() == std::nullopt));
  BOOST_TEST(own.deadline().is_never());
  BOOST_TEST((::fcntl(number, F_GETFL) & O_NONBLOCK) == 0);
}

BOOST_AUTO_TEST_CASE(a_detached_connection_outlives_handler_and_context, *timeout(10)) {
  auto [peer, socket] = net::socket_pair();
  net::Socket own;
  {
    Context context(std::move(socket));
    own = context.detach();
  }
  own.sendall(net::bytes("still here"));
  std::array<std::byte, 100> into{};
  BOOST_TEST(peer.recv(into) == 10U);
}

BOOST_AUTO_TEST_CASE(what_was_read_ahead_stays_readable_after_detaching, *timeout(10)) {
  Connection connection;
  Open handler;
  handler.attach(connection.context);
  connection.peer.sendall(net::bytes("one\ntwo"));
  BOOST_TEST(handler.rfile.read_line().value() == "one\n");
  const net::Socket own = connection.context.detach();
  BOOST_TEST(handler.rfile.buffered() == "two");
  BOOST_TEST(handler.rfile.read_exactly(3) == "two");
}

BOOST_AUTO_TEST_CASE(what_is_pending_is_sent_before_detaching, *timeout(10)) {
  Connection connection;
  auto& context = connection.context;
  const std::vector<std::byte> block(65536);
  while (context.socket().try_send(block)) {
  }
  context.stream().set_write_buffer(100);
  context.stream().write(net::bytes("pending"));
  BOOST_REQUIRE(context.stream().pending() == 7U);
  context.socket().settimeout(20ms);
  BOOST_CHECK_THROW(static_cast<void>(context.detach()), net::TimeoutError);
  BOOST_TEST(!context.detached());
  while (!context.stream().flush_now()) connection.receive();
  BOOST_CHECK_NO_THROW(static_cast<void>(context.detach()));
  BOOST_TEST(context.detached());
}
