/// \file
/// `net.server:tcp_server`: a TCP server of your handler under your policy.
export module net.server:tcp_server;

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

// The constructors of all servers, which differ in their kind alone.
template <class Handler, class Policy, ServerKind kind>
class ServerOf : public BaseServer {
  static_assert(ExecutionPolicy<Policy>,
                "a policy has a type Options, a constructor (Options, net::PolicyContext&), "
                "process(net::Request) and net::DrainReport drain(net::Deadline)");
  static_assert(HandlerChecks<Handler>::passed);

 public:
  template <class... Args>
  explicit ServerOf(const Address& address, Args&&... args)
      : ServerOf(Parts(kind, std::span(&address, 1), std::forward<Args>(args)...)) {}

  template <class... Args>
  explicit ServerOf(std::span<const Address> addresses, Args&&... args)
      : ServerOf(Parts(kind, addresses, std::forward<Args>(args)...)) {}

  template <class... Args>
  explicit ServerOf(Socket adopted, Args&&... args)
      : ServerOf(Parts(kind, std::span<const Address>(), std::move(adopted),
                       std::forward<Args>(args)...)) {}

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
///     net::TcpServer<Echo, net::ForkPerRequest> server{address, hooks, options};
///     net::TcpServer<Echo> server{net::Socket::adopt(descriptor)};
///
/// After the address (or a span of several, or a socket that listens already), in any order, each
/// at most once and each optional: `ServerOptions`; the policy's `Options`, or a `SharedPolicy`;
/// hooks; a factory of handlers, which is called with a `RequestContext&` or with nothing,
/// concurrently; a vector of sockets that listen already. Throws `std::errc::invalid_argument` if
/// an address or a socket is not of the server's kind, if there is none, and for options out of
/// bounds.
template <class Handler, class Policy = ThreadPool>
class TcpServer : public ServerOf<Handler, Policy, ServerKind::tcp> {
  static_assert(
      StreamHandler<Handler>,
      "a handler of connections has a public `net::Next handle()` (one request a call) or "
      "`void handle()` (a conversation), and is no net::DatagramRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::tcp>::ServerOf;
};

/// Python's names of combinations.
template <class Handler>
using ThreadingTcpServer = TcpServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingTcpServer = TcpServer<Handler, ForkPerRequest>;

}  // namespace net
