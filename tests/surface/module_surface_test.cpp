#include <boost/test/unit_test.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

import net;

using boost::unit_test::timeout;

bool works_without_headers();  // in macro_leak.cpp

namespace surface {

// net.socket
using net::above_standard_streams;
using net::Address;
using net::Ancillary;
using net::bytes;
using net::ConnectError;
using net::ConnectOptions;
using net::create_connection;
using net::create_server;
using net::Deadline;
using net::Descriptor;
using net::EndOfStream;
using net::Family;
using net::has_dualstack_ipv6;
using net::ListenOptions;
using net::PeerCredentials;
using net::ReceivedMessage;
using net::ReceiveOptions;
using net::recv_fds;
using net::recvmsg;
using net::resolve;
using net::ResolveOptions;
using net::resolver_category;
using net::send_fds;
using net::sendfile;
using net::sendmsg;
using net::sendmsg_all;
using net::ShutdownHow;
using net::Socket;
using net::socket_pair;
using net::SocketOption;
using net::SocketType;
using net::throw_system_error;
using net::TimeoutError;
using net::try_recvmsg;
using net::try_sendmsg;
using net::write_without_signals;

// net.handler
using net::BaseRequestHandler;
using net::BufferedStream;
using net::ByteBuffer;
using net::check;
using net::HandlerChecks;
using net::length_prefixed;
using net::Limits;
using net::line;
using net::Next;
using net::RequestContext;
using net::Stats;
using net::StreamReader;
using net::StreamRequestHandler;
using net::StreamWriter;

// net.server
using net::BaseServer;
using net::Child;
using net::DrainReport;
using net::Event;
using net::ForkPerRequest;
using net::Inline;
using net::name;
using net::ParkingLot;
using net::Phase;
using net::PolicyContext;
using net::Request;
using net::RequestError;
using net::ServerHooks;
using net::ServerOptions;
using net::SharedPolicy;
using net::TcpServer;
using net::ThreadPerRequest;
using net::ThreadPool;

struct Stream : net::StreamRequestHandler {
  net::Next handle() { return net::Next::close; }
  static std::size_t request_size(std::span<const std::byte> received) { return line(received); }
};

struct Talk : net::BaseRequestHandler {
  void handle() {}
};

struct Free {
  explicit Free(net::RequestContext&) {}
  net::Next handle() { return net::Next::close; }
};

struct NeedsState : net::BaseRequestHandler {
  explicit NeedsState(int) {}
  void handle() {}
};

struct Wrong {
  bool handle() { return true; }
};

class Hidden {
  [[maybe_unused]] void handle() {}
};

// Unusual handlers that are right all the same.
struct FinalTemplate final : net::StreamRequestHandler {
  static constexpr auto request_size(auto received) noexcept { return received.size(); }
  net::Next handle() const { return net::Next::close; }
};
struct Overloads {
  explicit Overloads(net::RequestContext&) {}
  void setup() noexcept {}
  net::Next handle() { return handle(1); }
  static net::Next handle(int) { return net::Next::close; }
  static std::size_t request_size(std::span<const std::byte> received) { return line(received); }
  static std::size_t request_size(std::string_view text) { return text.size(); }
};

struct MakesState {
  NeedsState operator()() const { return NeedsState(1); }
};

// A policy from outside of the library, which can do all that ours can.
struct Mine {
  struct Options {};
  Mine(Options, net::PolicyContext&) {}
  void process(net::Request request) { request.run(); }
  net::DrainReport drain(net::Deadline) { return {}; }
};

struct NoPolicy {
  struct Options {};
  void process(net::Request) {}
};

// The concepts.
static_assert(net::RequestHandler<Stream> && net::RequestHandler<Talk> &&
              net::RequestHandler<Free>);
static_assert(!net::RequestHandler<Wrong> && !net::RequestHandler<Hidden>);
static_assert(!net::RequestHandler<net::BaseRequestHandler>);
static_assert(net::OneRequestHandler<Stream> && !net::OneRequestHandler<Talk>);
static_assert(net::FramedHandler<Stream> && !net::FramedHandler<Talk>);
static_assert(net::FramedHandler<FinalTemplate> && net::FramedHandler<Overloads>);
static_assert(HandlerChecks<FinalTemplate>::passed && HandlerChecks<Overloads>::passed);
static_assert(HandlerChecks<NeedsState>::passed && HandlerChecks<Free>::passed);
static_assert(net::BufferedHandler<Stream> && !net::BufferedHandler<Free>);
static_assert(net::LibraryConstructible<Stream> && !net::LibraryConstructible<Wrong>);
static_assert(net::LibraryConstructible<Free> && !net::LibraryConstructible<NeedsState>);
static_assert(net::HandlerFactory<MakesState, NeedsState> &&
              !net::HandlerFactory<MakesState, Talk>);
static_assert(net::ExecutionPolicy<ThreadPool> && net::ExecutionPolicy<ThreadPerRequest>);
static_assert(net::ExecutionPolicy<ForkPerRequest> && net::ExecutionPolicy<Inline>);
static_assert(net::ExecutionPolicy<Mine> && !net::ExecutionPolicy<NoPolicy>);

// Which classes can be moved.
static_assert(std::movable<Descriptor> && std::movable<Ancillary>);
static_assert(!std::copyable<Descriptor> && !std::copyable<Ancillary>);
static_assert(std::movable<Socket> && std::movable<Request> && std::movable<Child>);
static_assert(!std::copyable<Socket> && !std::copyable<Request> && !std::copyable<Child>);
static_assert(!std::movable<BaseServer> && !std::movable<TcpServer<Stream>>);
static_assert(!std::movable<ServerHooks> && !std::movable<PolicyContext>);
static_assert(std::regular<Address> && std::regular<Deadline> && std::regular<DrainReport>);
static_assert(std::derived_from<TimeoutError, std::system_error>);
static_assert(std::derived_from<ConnectError, std::system_error>);
static_assert(std::derived_from<TcpServer<Stream>, BaseServer>);
static_assert(noexcept(std::declval<BaseServer&>().shutdown()));

}  // namespace surface

// Every template, instantiated completely and outside of the library.
template class net::TcpServer<surface::Stream>;
template class net::TcpServer<surface::Talk, net::ThreadPerRequest>;
template class net::TcpServer<surface::Free, net::ForkPerRequest>;
template class net::TcpServer<surface::Stream, net::Inline>;
template class net::TcpServer<surface::FinalTemplate>;
template class net::TcpServer<surface::Overloads>;
template class net::TcpServer<surface::Talk, surface::Mine>;
template class net::SharedPolicy<net::ThreadPool>;
template class net::SharedPolicy<surface::Mine>;
template net::Deadline::Deadline(std::chrono::duration<double>);
template net::Deadline::Deadline(std::chrono::hours);
template std::size_t net::length_prefixed<std::uint8_t>(std::span<const std::byte>) noexcept;
template std::size_t net::length_prefixed<std::uint64_t>(std::span<const std::byte>) noexcept;

BOOST_AUTO_TEST_CASE(no_macro_comes_with_the_modules, *timeout(10)) {
  BOOST_TEST(works_without_headers());
}

BOOST_AUTO_TEST_CASE(a_server_takes_its_parts_in_any_order, *timeout(10)) {
  const net::Address address("127.0.0.1", 0);
  net::ServerHooks hooks;
  net::ServerOptions options;
  options.bind_and_activate = false;
  const net::SharedPolicy<surface::Mine> shared;
  net::TcpServer<surface::Talk, surface::Mine> one(address, options, shared, hooks);
  net::TcpServer<surface::Talk, surface::Mine> two(address, hooks, shared, options);
  BOOST_TEST(&one.policy() == &*shared);
  BOOST_TEST(&two.policy() == shared.operator->());
  const std::vector<net::Address> addresses(2, address);
  net::TcpServer<surface::NeedsState, net::Inline> three(
      std::span{addresses}, options, surface::MakesState{}, net::Inline::Options{});
  BOOST_TEST(three.listeners() == 2U);
}

BOOST_AUTO_TEST_CASE(a_server_is_bound_when_it_is_made, *timeout(10)) {
  net::TcpServer<surface::Stream, net::Inline> server(net::Address("127.0.0.1", 0));
  BOOST_TEST(server.server_address().port() != 0);
  BOOST_TEST((server.server_close() == net::DrainReport()));
}
