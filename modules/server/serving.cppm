/// \file
/// `net.server:serving`: a server in a thread of its own, and a server that signals stop.
export module net.server:serving;

import net.standard;
import net.socket;
import :base_server;
import :options;

export namespace net {

/// Runs a server in a thread of its own while this object lives: in a test, or beside other work of
/// a program.
///
///     net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0}};
///     net::Serving running{server};
///     auto client = net::create_connection(server.server_address());
///
/// Thread safety: none. The thread takes no signals.
class Serving {
 public:
  /// Starts a thread that calls `serve_forever`. The server must outlive this object. Throws
  /// `std::errc::resource_unavailable_try_again` if the thread cannot be started.
  explicit Serving(BaseServer& server);
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  /// Stops the server unless `stop` has. An exception of `serve_forever` is lost then.
  ~Serving();

  /// Shuts the server down, closes it within `deadline`, and waits until `serve_forever` has
  /// returned; a handler that holds up that thread can delay this beyond the deadline. Then throws
  /// what `serve_forever` has thrown, if anything. A second call returns the first report.
  DrainReport stop(Deadline deadline);
  /// Does the same, within the drain limit of the server's options.
  DrainReport stop();

 private:
  friend DrainReport serve_until(BaseServer& server, std::span<const int> signals);
  struct Thread;
  DrainReport stop_within(std::optional<Deadline> deadline);

  BaseServer& server_;
  std::unique_ptr<Thread> thread_;
};

/// Serves until one of `signals` arrives, then shuts the server down and closes it within the drain
/// limit of the options. While the server drains, the signals have the action that they had before
/// the call: by default, another signal ends the program.
///
///     net::serve_until(server, {SIGTERM, SIGINT});
///
/// Call it on the main thread, before the program starts threads of its own: a thread that does not
/// block these signals may receive them. The threads of the library block them. A signal that
/// arrives before the call has its usual action, unless it is blocked: then the server stops at
/// once. Returns early if the server is shut down in another way. Throws what `serve_forever`
/// throws, and `std::errc::invalid_argument` for a number that is not a signal.
DrainReport serve_until(BaseServer& server, std::span<const int> signals);
template <std::size_t count>
DrainReport serve_until(BaseServer& server, const int (&signals)[count]) {
  return serve_until(server, std::span<const int>(signals));
}

}  // namespace net
