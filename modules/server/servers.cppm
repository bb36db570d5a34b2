/// \file
/// `net.server:servers`: the servers, which differ in what they bind and in which handlers fit.
export module net.server:servers;

import net.standard;
import net.socket;
import net.handler;
import :base_server;
import :fork_per_request;
import :policy;
import :server_parts;
import :thread_per_request;
import :thread_pool;

namespace net {

// Refuses a text where a server takes an address.
template <class A>
struct NoAddress {
  static_assert(
      std::same_as<A, Address>,
      "a server takes a net::Address, such as net::Address{\"127.0.0.1\", 9999}, or several; "
      "net::resolve returns those of a name");
  static std::span<const Address> addresses();
};

// The constructors of all servers, which differ in their kind alone.
template <class Handler, class Policy, ServerKind kind>
class ServerOf : public BaseServer {
  static_assert(ExecutionPolicy<Policy>,
                "a policy has a type Options, a constructor (Options, net::PolicyContext&), "
                "process(net::Request) and net::DrainReport drain(net::Deadline)");
  static_assert(HandlerChecks<Handler>::passed);

 public:
  /// Serves at an address, at several, or at a socket that listens already; the other arguments are
  /// as the class says.
  template <class... Args>
  explicit ServerOf(const Address& address, Args&&... args)
      : ServerOf(Parts(kind, std::span(&address, 1), std::forward<Args>(args)...)) {}
  template <class... Args>
  explicit ServerOf(std::span<const Address> addresses, Args&&... args)
      : ServerOf(Parts(kind, addresses, std::forward<Args>(args)...)) {}
  template <class... Args>
  explicit ServerOf(std::initializer_list<Address> addresses, Args&&... args)
      : ServerOf(Parts(kind, std::span(addresses.begin(), addresses.size()),
                       std::forward<Args>(args)...)) {}
  template <class... Args>
  explicit ServerOf(Socket adopted, Args&&... args)
      : ServerOf(Parts(kind, std::span<const Address>(), std::move(adopted),
                       std::forward<Args>(args)...)) {}

  template <class... Args>
  explicit ServerOf(std::vector<Socket> adopted, Args&&... args)
      : ServerOf(Parts(kind, std::span<const Address>(), std::move(adopted),
                       std::forward<Args>(args)...)) {}

  template <class A, class... Args>
    requires(!DerivedFrom<A, BaseServer> && requires(A argument) { std::string_view(argument); })
  explicit ServerOf(A, Args&&...) : ServerOf(NoAddress<A>::addresses()) {}

  /// Returns the policy, which lives as long as the server.
  Policy& policy() const noexcept { return *policy_; }

 private:
  using Parts = ServerParts<Handler, Policy>;

  explicit ServerOf(Parts&& parts) : BaseServer(parts), policy_(parts.given_policy) {}

  Policy* policy_;
};

}  // namespace net

export namespace net {

/// Serves TCP. Python: `TCPServer`.
///
///     net::TcpServer<Echo> server{address};
///     net::TcpServer<Echo, net::ForkPerRequest> forking{address, hooks, options};
///     net::TcpServer<Echo> adopting{net::Socket::adopt(descriptor)};
///
/// After the address (or a list or a span of several, or a socket or sockets that listen already),
/// in any order, each at most once and each optional: `ServerOptions`; the policy's `Options`, or a
/// `SharedPolicy`; hooks; a factory of handlers, which is called with a `RequestContext&` or with
/// nothing, concurrently; a vector of sockets that listen already. Throws
/// `std::errc::invalid_argument` if an address or a socket is not of the server's kind, if there is
/// none, and for options out of bounds.
template <class Handler, class Policy = ThreadPool>
class TcpServer : public ServerOf<Handler, Policy, ServerKind::tcp> {
  static_assert(
      StreamHandler<Handler>,
      "a handler of connections has a public `net::Next handle()` (one request a call) or "
      "`void handle()` (a conversation), and is no net::DatagramRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::tcp>::ServerOf;
};

/// Serves UDP. Python: `UDPServer`. Each datagram is a request, an empty one as well, and has a
/// handler object of its own.
///
///     struct Shout : net::DatagramRequestHandler {
///       void handle() { reply(upper(rfile.read_some())); }
///     };
///     net::UdpServer<Shout> server{net::Address{"127.0.0.1", 9999}};
///
/// Constructed as `TcpServer` is. A reply leaves from the address that was asked, also if the
/// server is bound to all. Under `ThreadPool` (and each policy that takes the parking lot over) the
/// threads of the policy take the datagrams from the socket while `serve_forever` runs, and
/// `verify_request` is called there, concurrently; else the serving thread takes them. What nobody
/// takes in time the kernel drops: `Stats::datagrams_lost`.
template <class Handler, class Policy = ThreadPool>
class UdpServer : public ServerOf<Handler, Policy, ServerKind::udp> {
  static_assert(
      DatagramHandler<Handler>,
      "a handler of datagrams has a public `void handle()`: there is no next request of a "
      "datagram; and it is no net::StreamRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::udp>::ServerOf;
};

/// Serves a Unix stream socket. Python: `UnixStreamServer`.
///
///     net::UnixStreamServer<Echo> server{net::Address::unix_path("/run/echo.sock")};
///
/// Constructed as `TcpServer` is. The file of a server that is dead is replaced; where a live one
/// is, or anything else, it throws `std::errc::address_in_use`. The file goes when the server
/// closes, if it is still its own. `ServerOptions::unix_mode` sets its permissions.
/// `Socket::peer_credentials` identifies the client.
template <class Handler, class Policy = ThreadPool>
class UnixStreamServer : public ServerOf<Handler, Policy, ServerKind::unix_stream> {
  static_assert(
      StreamHandler<Handler>,
      "a handler of connections has a public `net::Next handle()` (one request a call) or "
      "`void handle()` (a conversation), and is no net::DatagramRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::unix_stream>::ServerOf;
};

/// Serves a Unix datagram socket. Python: `UnixDatagramServer`. As `UdpServer`, with the file of a
/// `UnixStreamServer`. A client that has no name can ask, but gets no reply, nor does one whose
/// name is a path that is relative, leads through a symbolic link, or is another user's file
/// (`Datagram::reply`). One that does not read its replies loses them. The kernel keeps what is
/// unread in the server's send buffer: a few such clients leave others without replies too
/// (`Stats::replies_dropped`), until they read or go.
template <class Handler, class Policy = ThreadPool>
class UnixDatagramServer : public ServerOf<Handler, Policy, ServerKind::unix_datagram> {
  static_assert(
      DatagramHandler<Handler>,
      "a handler of datagrams has a public `void handle()`: there is no next request of a "
      "datagram; and it is no net::StreamRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::unix_datagram>::ServerOf;
};

/// Serves frames of one protocol on an interface, packet(7). Python has no such server.
///
///     net::PacketServer<Shout> server{net::Address::packet("eth0", 0x88B5)};
///
/// As `UdpServer`: a frame's payload is a datagram, its sender a hardware address, and a reply goes
/// back there, within the same protocol. With `ServerOptions::link_header` frames are whole, and a
/// reply begins with the header that the handler makes. What this host itself sends is not
/// received. Needs CAP_NET_RAW: without, it throws `std::errc::operation_not_permitted`.
template <class Handler, class Policy = ThreadPool>
class PacketServer : public ServerOf<Handler, Policy, ServerKind::packet> {
  static_assert(DatagramHandler<Handler>,
                "a handler of frames has a public `void handle()`: there is no next request of a "
                "frame; and it is no net::StreamRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::packet>::ServerOf;
};

/// Python's names of combinations.
template <class Handler>
using ThreadingTcpServer = TcpServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingTcpServer = TcpServer<Handler, ForkPerRequest>;
template <class Handler>
using ThreadingUdpServer = UdpServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUdpServer = UdpServer<Handler, ForkPerRequest>;
template <class Handler>
using ThreadingUnixStreamServer = UnixStreamServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUnixStreamServer = UnixStreamServer<Handler, ForkPerRequest>;
template <class Handler>
using ThreadingUnixDatagramServer = UnixDatagramServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUnixDatagramServer = UnixDatagramServer<Handler, ForkPerRequest>;

}  // namespace net
