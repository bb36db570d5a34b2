/// \file
/// `net.server:base_server`: what every server does, whatever its handlers and its policy.
export module net.server:base_server;

import net.standard;
import net.socket;
import net.handler;
import :options;
import :server_parts;

namespace net {
class Engine;
}

export namespace net {

/// The functions of every server. Python: `BaseServer`, without its known defects.
///
///     Methods for the caller:     serve_forever, handle_request, shutdown, restart, server_close,
///                                 server_bind, server_activate, server_address, fileno, stats
///     What may be replaced:       ServerHooks, ServerOptions, the policy, the handler's factory
///
/// A server goes from bound to serving to closed:
///
///     constructor ─→ (server_bind ─→ server_activate) ─→ serve_forever ⇄ shutdown, restart
///                                                            └─→ server_close
///
/// A server belongs to the process that made it. After a fork, the child may serve it as well:
/// calls that serve, bind or poll first replace everything that the child would share with its
/// parent. A copy that does not serve only closes its descriptors when it is destroyed.
///
/// Thread safety: `shutdown` may be called from anywhere, including signal handlers; `stats`,
/// `server_address` and `server_close` from any thread; the other functions by one thread at a
/// time, unless their comment says otherwise.
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;

  /// Closes the server within the drain limit of its options, and waits for handlers that are
  /// stuck.
  virtual ~BaseServer();

  /// Binds the listeners. The constructor calls it unless `bind_and_activate` is false. Throws the
  /// errors of socket(2), and what `ServerHooks::server_bind` throws, by default the errors of
  /// `Socket::bind`. No listener is bound then.
  void server_bind();

  /// Makes the listeners listen, and registers them with epoll. If this fails, throws and closes
  /// the listeners. Throws `std::errc::bad_file_descriptor` before `server_bind`.
  void server_activate();

  /// Serves until `shutdown`. Calls `ServerHooks::service_actions` at least once in each
  /// `poll_interval`; the interval affects nothing else. Returns at once if `shutdown` was called
  /// before. Starts the policy if it has not started in this process, and throws what its `start`
  /// throws, such as `resource_unavailable_try_again` if the system cannot start a thread. In that
  /// case you may call `serve_forever` again.
  /// Throws `std::errc::operation_in_progress` if the server is being served already,
  /// `std::errc::bad_file_descriptor` if it is closed or not activated,
  /// `std::errc::invalid_argument` for a negative interval, and the error of the last listener when
  /// no listener works any more.
  void serve_forever(std::chrono::milliseconds poll_interval = std::chrono::milliseconds(500));

  /// Serves one event: a new connection, a datagram, or the next request of a parked connection. A
  /// policy that polls the parking lot itself, such as ThreadPool, serves parked connections
  /// without this call. Waits for the event for at most `ServerOptions::timeout`, and calls
  /// `ServerHooks::handle_timeout` if there was none. Deadlines that expire meanwhile take effect,
  /// but are not events.
  ///
  /// While a `shutdown` is pending, it serves an event that is ready, but does not wait and does
  /// not call `handle_timeout`. A `server_close` in another thread also ends the wait; later calls
  /// throw `std::errc::bad_file_descriptor`. Throws what `serve_forever` throws.
  void handle_request();

  /// Makes `serve_forever`, or a `handle_request` that waits, return. Never blocks: it sets a flag
  /// and writes to an eventfd. May be called from any thread, handler or signal handler, before,
  /// during or after `serve_forever`. The shutdown stays in effect until `restart`.
  void shutdown() noexcept;

  /// Makes a server that was shut down ready to serve again.
  void restart() noexcept;

  /// Closes the server: stops serving, accepts the connections that the kernel has completed
  /// already, closes the listeners, serves the requests that have arrived, and cuts the connections
  /// that are left at `deadline`. Returns within 100 ms after the deadline, even if a handler does
  /// not return. A second call waits for the first and returns the same report. If a handler still
  /// holds up the serving thread then, the server is not closed: the report counts only `stuck`,
  /// and a second call tries again. Throws `std::errc::resource_deadlock_would_occur` in a handler
  /// or a hook.
  DrainReport server_close(Deadline deadline);
  /// Does the same, within the drain limit of the options.
  DrainReport server_close();

  /// Returns the address of the first (or the given) listener. If port 0 was asked for, it has the
  /// port that the system picked. Python: `server_address`.
  Address server_address(std::size_t listener = 0) const;
  /// Returns how many listeners there are.
  std::size_t listeners() const noexcept;

  /// Returns duplicates of the sockets of all listeners that still work, for another program that
  /// serves them as well, or takes them over (`net.handover`). The file of a Unix socket then stays
  /// while any program serves it. May be called from any thread while the server is not being
  /// closed. A child that ForkPerRequest forks meanwhile has copies of the duplicates until it
  /// ends. Throws the errors of fcntl(2).
  std::vector<Socket> duplicate_listeners() const;

  /// Returns a descriptor that is readable when `handle_request` would not wait, so that one poll
  /// loop can have several servers; -1 once the server is closed. It also becomes readable when a
  /// deadline of the server expires, so the loop needs no time-out of its own, and when the server
  /// is closed. Python: `fileno`.
  int fileno() const noexcept;

  /// Returns what the server has done so far in this process.
  Stats stats() const;

  /// Makes the server measure how long requests take, from now on. May be called from any thread.
  void time_requests() noexcept;
  /// Returns the times measured since `time_requests`. May be called from any thread.
  RequestTimes request_times() const noexcept;

  /// Returns how much of the server's limits is in use. May be called from any thread.
  Load load() const;

  /// Sets whether the server wants new clients, for a load balancer's check that asks `ready`. It
  /// changes nothing else: the server still serves new clients. May be called from any thread.
  void set_ready(bool ready) noexcept { wants_clients_.store(ready); }
  /// Returns whether the server wants new clients and can serve them: it is active, and neither
  /// stopping nor closed. May be called from any thread.
  bool ready() const noexcept;

  /// Kills the children that serve requests of this server, at once. Does nothing in a forked
  /// process. Meant for a second SIGTERM or SIGINT; safe in a signal handler.
  void kill_children() noexcept;

 protected:
  /// For the server classes of this library.
  explicit BaseServer(AnyServerParts& parts);

 private:
  // Returns the engine of this process. In a process that was forked after the server was made,
  // the first call makes a new engine. `call` names the caller, for the text of errors.
  Engine& here(const char* call) const;

  mutable std::atomic<Engine*> engine_;
  std::atomic<bool> wants_clients_{true};
};

}  // namespace net
