/// \file
/// `net.server:serving`: servers that run beside something else.
export module net.server:serving;

import net.standard;
import net.socket;
import :base_server;
import :options;

export namespace net {

/// Serves in a thread of its own for as long as it lives: in a test, or beside a program's other
/// work.
///
///     net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0}};
///     net::Serving running{server};
///     auto client = net::create_connection(server.server_address());
///
/// Thread safety: none. The thread takes no signals.
class Serving {
 public:
  /// Starts `serve_forever` of the server, which must outlive this. Throws
  /// `std::errc::resource_unavailable_try_again` if there is no thread for it.
  explicit Serving(BaseServer& server);
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  /// Stops, unless that is done. What `serve_forever` threw is lost then.
  ~Serving();

  /// Shuts the server down, waits until `serve_forever` has returned, and closes within `deadline`.
  /// Throws what `serve_forever` has thrown, after it has closed. A second call returns the first
  /// report.
  DrainReport stop(Deadline deadline);
  /// Does so within the drain limit of the server's options.
  DrainReport stop();

 private:
  friend DrainReport serve_until(BaseServer& server, std::span<const int> signals);
  struct Thread;
  DrainReport stop_within(std::optional<Deadline> deadline);

  BaseServer& server_;
  std::unique_ptr<Thread> thread_;
};

/// Serves until one of these signals comes, then shuts down and closes within the drain limit of
/// the options. While it drains, the signals do what they did before the call: by default, another
/// one ends the program.
///
///     net::serve_until(server, {SIGTERM, SIGINT});
///
/// To be called by the main thread, before the program starts threads of its own, as one that does
/// not block the signals may get them; those of the library do. A signal that comes before the call
/// does what it did before, unless it is blocked: then it ends the serving at once. Returns early
/// if the server is shut down in another way. Throws what `serve_forever` throws, and
/// `std::errc::invalid_argument` if one is no signal.
DrainReport serve_until(BaseServer& server, std::span<const int> signals);
template <std::size_t count>
DrainReport serve_until(BaseServer& server, const int (&signals)[count]) {
  return serve_until(server, std::span<const int>(signals));
}

}  // namespace net
