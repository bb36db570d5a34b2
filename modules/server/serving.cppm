/// \file
/// `net.server:serving`: servers that run in the background.
export module net.server:serving;

import net.standard;
import net.socket;
import :base_server;
import :options;

export namespace net {

/// Serves in a thread of its own as long as this object lives: in a test, or beside other work of
/// the program.
///
///     net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0}};
///     net::Serving running{server};
///     auto client = net::create_connection(server.server_address());
///
/// Thread safety: none. The thread blocks signals.
class Serving {
 public:
  /// Starts `serve_forever` of the server, which must outlive this. Throws
  /// `std::errc::resource_unavailable_try_again` if there is no thread for it.
  explicit Serving(BaseServer& server);
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  /// Stops the server, unless `stop` was called. An exception from `serve_forever` is lost then.
  ~Serving();

  /// Shuts the server down, waits until `serve_forever` has returned, and closes within `deadline`.
  /// After closing, throws the exception that `serve_forever` threw, if any. A second call returns
  /// the first report.
  DrainReport stop(Deadline deadline);
  /// Stops the server within the drain limit of its options.
  DrainReport stop();

 private:
  friend DrainReport serve_until(BaseServer& server, std::span<const int> signals);
  struct Thread;
  DrainReport stop_within(std::optional<Deadline> deadline);

  BaseServer& server_;
  std::unique_ptr<Thread> thread_;
};

/// Serves until one of these signals arrives, then shuts down and closes within the drain limit of
/// the options. While the server drains, the signals have the same effect as before the call: by
/// default, another signal ends the program.
///
///     net::serve_until(server, {SIGTERM, SIGINT});
///
/// Call this on the main thread, before the program starts threads of its own: a thread that does
/// not block the signals may receive them. The threads of the library block them. A signal that
/// arrives before the call has its usual effect, unless it is blocked: then `serve_until` stops
/// serving at once. Returns early if the server is shut down in another way. Throws the exceptions
/// of `serve_forever`, and `std::errc::invalid_argument` if a number is not a signal.
DrainReport serve_until(BaseServer& server, std::span<const int> signals);
template <std::size_t count>
DrainReport serve_until(BaseServer& server, const int (&signals)[count]) {
  return serve_until(server, std::span<const int>(signals));
}

}  // namespace net
