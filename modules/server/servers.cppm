/// \file
/// `net.server:servers`: the server classes, which differ in their kind of socket and of handler.
export module net.server:servers;

import net.standard;
import net.socket;
import net.handler;
import :base_server;
import :fork_per_request;
import :options;
import :policy;
import :server_parts;
import :thread_per_request;
import :thread_pool;

namespace net {

// Refuses what is written most often where a server takes an address.
template <class A>
struct NoAddress {
  static_assert(
      std::same_as<A, Address>,
      "a server takes a net::Address, such as net::Address{\"127.0.0.1\", 9999}, or several; "
      "net::resolve returns those of a name");
  static std::span<const Address> addresses();
};

// The constructors of all server classes.
template <class Handler, class Policy, ServerKind kind>
class ServerOf : public BaseServer {
  static_assert(PolicyChecks<Policy>::passed);
  static_assert(HandlerChecks<Handler>::passed);

 public:
  /// Makes a server for an address, for several addresses, or for sockets that listen already (for
  /// datagrams: that are bound already). The comment of the class describes the other arguments.
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
    requires(!DerivedFrom<A, BaseServer> &&
             (std::is_arithmetic_v<A> || std::same_as<A, ServerOptions> ||
              requires(A argument) { std::string_view(argument); }))
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
/// The first argument is an address, a list or a span of several, or a socket or sockets that
/// listen already. After it may come, in any order and each at most once: `ServerOptions`; the
/// policy's `Options`, or a `SharedPolicy`; hooks; a factory of handlers, which is called
/// concurrently, with a `RequestContext&` or without an argument; a vector of sockets that listen
/// already. Throws `std::errc::invalid_argument` if an address or a socket is not of the server's
/// kind, if there is neither an address nor a socket, and for options out of bounds.
template <class Handler, class Policy = ThreadPool>
class TcpServer : public ServerOf<Handler, Policy, ServerKind::tcp> {
  static_assert(
      StreamHandler<Handler>,
      "a handler of connections has a public `net::Next handle()` (one request a call) or "
      "`void handle()` (a conversation), and is no net::DatagramRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::tcp>::ServerOf;
};

/// Serves UDP. Python: `UDPServer`. Each datagram is a request, even an empty one, and has a
/// handler object of its own.
///
///     struct Shout : net::DatagramRequestHandler {
///       void handle() { reply(upper(rfile.read_some())); }
///     };
///     net::UdpServer<Shout> server{net::Address{"127.0.0.1", 9999}};
///
/// The constructors are those of `TcpServer`. A reply is sent from the address that the datagram
/// was sent to, even if the server is bound to all addresses. Under `ThreadPool`, and any other
/// policy that takes over the parking lot, the threads of the policy receive the datagrams while
/// `serve_forever` runs, and call `verify_request` concurrently. Under other policies, or if the
/// server's options say `Overload::reject`, the serving thread receives them. If no thread receives
/// a datagram in time, the kernel drops it: `Stats::datagrams_lost`.
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
/// The constructors are those of `TcpServer`. The socket file of a dead server is replaced. If
/// there is a live server, or any other file, the constructor throws `std::errc::address_in_use`.
/// The server removes the file when it closes, if the file is still its own.
/// `ServerOptions::unix_mode` sets its permissions. `Socket::peer_credentials` identifies the
/// client.
template <class Handler, class Policy = ThreadPool>
class UnixStreamServer : public ServerOf<Handler, Policy, ServerKind::unix_stream> {
  static_assert(
      StreamHandler<Handler>,
      "a handler of connections has a public `net::Next handle()` (one request a call) or "
      "`void handle()` (a conversation), and is no net::DatagramRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::unix_stream>::ServerOf;
};

/// Serves a Unix datagram socket. Python: `UnixDatagramServer`. It works like `UdpServer`, and
/// treats its socket file as `UnixStreamServer` does. A client without a name can send requests but
/// gets no reply. A client gets none either if its name is a relative path, a path through a
/// symbolic link, or a file of another user (`Datagram::reply`). A client that does not read its
/// replies loses them. The kernel keeps unread replies in the server's send buffer, so a few such
/// clients can leave others without replies (`Stats::replies_dropped`) until they read or close.
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
/// It works as `UdpServer` does: the payload of a frame is a datagram, its sender is a hardware
/// address, and a reply is sent to that address in the same protocol. With
/// `ServerOptions::link_header`, frames include their header, and the handler writes that of each
/// reply. Frames that this host itself sends are not received. The constructor throws
/// `std::errc::operation_not_permitted` without CAP_NET_RAW.
template <class Handler, class Policy = ThreadPool>
class PacketServer : public ServerOf<Handler, Policy, ServerKind::packet> {
  static_assert(DatagramHandler<Handler>,
                "a handler of frames has a public `void handle()`: there is no next request of a "
                "frame; and it is no net::StreamRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::packet>::ServerOf;
};

/// Servers with `ThreadPerRequest` or `ForkPerRequest`, named after Python's `ThreadingTCPServer`,
/// `ForkingTCPServer` and so on.
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
