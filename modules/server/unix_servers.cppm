/// \file
/// `net.server:unix_servers`: servers of this host alone, which have a path instead of a port.
module;

export module net.server:unix_servers;

import net.handler;
import :fork_per_request;
import :server_parts;
import :tcp_server;
import :thread_per_request;
import :thread_pool;

export namespace net {

/// Serves a Unix stream socket. Python: `UnixStreamServer`.
///
///     net::UnixStreamServer<Echo> server{net::Address::unix_path("/run/echo.sock")};
///
/// Constructed as `TcpServer` is. The file of a server that is dead is replaced; where a live one
/// is, or anything else, it throws `std::errc::address_in_use`. The file goes when the server
/// closes, if it is still its own. `ServerOptions::unix_mode` sets its permissions. Who the client
/// is tells `Socket::peer_credentials`.
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

/// Python's names of combinations.
template <class Handler>
using ThreadingUnixStreamServer = UnixStreamServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUnixStreamServer = UnixStreamServer<Handler, ForkPerRequest>;
template <class Handler>
using ThreadingUnixDatagramServer = UnixDatagramServer<Handler, ThreadPerRequest>;
template <class Handler>
using ForkingUnixDatagramServer = UnixDatagramServer<Handler, ForkPerRequest>;

}  // namespace net
