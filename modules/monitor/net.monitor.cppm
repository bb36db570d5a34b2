/// \file
/// Module `net.monitor`: what a server does, for operators, over HTTP.
///
///     net::TcpServer<Echo> server{net::Address{"127.0.0.1", 9999}};
///     net::Monitor monitor{net::Address{"127.0.0.1", 9100}, server};
///     server.serve_forever();
///
/// It answers GET and HEAD of these paths, and nothing else:
///
///     /          a page that draws what the server does, as it does it
///     /metrics   all that is counted, in the text format of Prometheus
///     /healthz   200 while the program is alive
///     /readyz    200 while every server wants new clients (`BaseServer::ready`), else 503
///     /events    what the page draws, as server-sent events, once a second
///
/// The monitor is a server of its own, with threads of its own, so it answers when all workers of
/// the service are busy, and when the service takes no more connections: that is when it is needed.
/// It asks nobody for a password, and tells everybody who can connect the same: let it listen on
/// the loopback interface, on a network of operators, or on a Unix socket. What it tells has no
/// data of clients.
///
/// It links to `netserve::monitor`, and is not part of `net`, since it needs another library: the
/// parser of Boost.Beast.
export module net.monitor;

import net.standard;
import net.socket;
import net.server;

export namespace net {

/// Names a server for its monitor.
struct Watched {
  BaseServer* server;     ///< which outlives the monitor; not null
  std::string_view name;  ///< as `/metrics` and the page have it; empty is its address
};

/// Tells over HTTP what servers do, from its constructor to its destructor, and has the servers
/// measure how long their requests take.
///
/// Thread safety: as of any object; it calls only what a server allows from any thread.
class Monitor {
 public:
  /// Serves at an address of TCP or a Unix stream socket. Errors as `Socket::bind`;
  /// `std::errc::invalid_argument` for another kind of address, `std::errc::
  /// resource_unavailable_try_again` without threads.
  Monitor(const Address& address, BaseServer& server);
  /// Tells of several servers, each with a name of its own. Precondition: there is one.
  Monitor(const Address& address, std::span<const Watched> servers);
  /// Serves at a socket that listens already, such as one that `duplicate_listener` gave to another
  /// program. Errors as the constructors of servers.
  Monitor(Socket listener, std::span<const Watched> servers);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  /// Ends at once, and the event streams with it.
  ~Monitor();

  /// Returns where it serves, a port of 0 resolved.
  Address address() const;

  /// Returns a duplicate of its listener: `BaseServer::duplicate_listeners`.
  Socket duplicate_listener() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
