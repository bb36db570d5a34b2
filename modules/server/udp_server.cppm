/// \file
/// `net.server:udp_server`: a UDP server of your handler under your policy.
module;

export module net.server:udp_server;

import net.handler;
import :fork_per_request;
import :server_parts;
import :tcp_server;
import :thread_per_request;
import :thread_pool;

export namespace net {

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

/// Python's names of combinations.
template <class Handler>
using ThreadingUdpServer = UdpServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUdpServer = UdpServer<Handler, ForkPerRequest>;

}  // namespace net
