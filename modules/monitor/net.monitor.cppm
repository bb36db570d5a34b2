/// \file
/// Module `net.monitor`: shows operators over HTTP how a server is doing.
///
///     net::TcpServer<Echo> server{net::Address{"127.0.0.1", 9999}};
///     net::Monitor monitor{net::Address{"127.0.0.1", 9100}, server};
///     server.serve_forever();
///
/// The monitor answers GET and HEAD of these paths, and of the style sheet and script of the page:
///
///     /          a page with live charts of what the server does
///     /metrics   all counters, in the text format of Prometheus
///     /healthz   200 while the program is alive
///     /readyz    200 while every server is ready for new clients (`BaseServer::ready`), else 503
///     /events    the data of the page as server-sent events, once a second
///
/// The monitor is a separate server with its own threads. So it also answers when all workers of
/// the service are busy, and when the service accepts no more connections: this is when you need it
/// most. There is no authentication, and every client gets the same answers: let the monitor listen
/// on the loopback interface, on an operators' network, or on a Unix socket. Its answers contain no
/// client data.
///
/// Link to `netserve::monitor`. The module is not part of `net`, since it needs another library:
/// the parser of Boost.Beast.
export module net.monitor;

import net.standard;
import net.socket;
import net.server;

export namespace net {

/// A server to monitor, and its name.
struct Watched {
  BaseServer* server;     ///< must outlive the monitor; not null
  std::string_view name;  ///< shown in `/metrics` and on the page; if empty, the address
};

/// Reports the state of servers over HTTP, from its constructor to its destructor, and makes the
/// servers measure the durations of their requests.
///
/// Thread safety: one object, by one thread at a time. It calls only those functions of a server
/// that any thread may call.
class Monitor {
 public:
  /// Serves at a TCP address or at the address of a Unix stream socket. Throws the errors of
  /// `Socket::bind`, `std::errc::invalid_argument` for another kind of address, and
  /// `std::errc::resource_unavailable_try_again` if no thread can be started.
  Monitor(const Address& address, BaseServer& server);
  /// Monitors several servers, each with its own name. Precondition: there is at least one.
  Monitor(const Address& address, std::span<const Watched> servers);
  /// Serves on a socket that is already listening, such as one that another program got from
  /// `duplicate_listener`. Throws the errors of the constructors of servers.
  Monitor(Socket listener, std::span<const Watched> servers);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  /// Stops at once, and closes the event streams.
  ~Monitor();

  /// Returns the address where the monitor serves; a port of 0 is replaced by the actual one.
  Address address() const;

  /// Returns a duplicate of the listener: see `BaseServer::duplicate_listeners`.
  Socket duplicate_listener() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
