/// \file
/// `net.server:base_server`: the part of a server that does not depend on its handlers and its
/// policy.
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

/// The base class of all servers. Python: `BaseServer`, without its known defects.
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
/// A server belongs to the process that constructed it. After a fork, the child may serve it as
/// well: the calls that serve, bind or poll then create the child's own copy of everything that it
/// would otherwise share with its parent. A copy that never serves only closes its descriptors when
/// it is destroyed.
///
/// Thread safety: call `shutdown` from anywhere, signal handlers included; `stats`,
/// `server_address` and `server_close` from any thread; the other functions from one thread at a
/// time.
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;

  /// Closes the server within the drain limit of the options, then waits for handlers that are
  /// stuck.
  virtual ~BaseServer();

  /// Binds the listeners. The constructor calls this unless `bind_and_activate` is off.
  /// Throws as `Socket::bind` does, and leaves no socket open then.
  void server_bind();

  /// Makes the listeners listen, and registers them with the serving loop.
  void server_activate();

  /// Serves until `shutdown` is called, or returns at once if it was called before. Calls
  /// `ServerHooks::service_actions` at least once in each `poll_interval`; the interval delays
  /// nothing else.
  ///
  /// Starts the policy if it has not been started in this process, and throws what `start` throws,
  /// such as `resource_unavailable_try_again` if the system has no threads left; you may then call
  /// it again. Throws `std::errc::operation_in_progress` if the server is serving already,
  /// `std::errc::bad_file_descriptor` if it is closed or not activated,
  /// `std::errc::invalid_argument` for a negative interval, and the error of the last listener once
  /// all listeners have failed.
  void serve_forever(std::chrono::milliseconds poll_interval = std::chrono::milliseconds(500));

  /// Serves one event, an accept or a parked request, within `ServerOptions::timeout`. Calls
  /// `handle_timeout` if there was no event. Limits that expire meanwhile take effect, but do not
  /// count as events.
  ///
  /// While a `shutdown` is pending, serves an event that is ready, but does not wait for one and
  /// does not call `handle_timeout`. A `server_close` in another thread also ends the wait; later
  /// calls throw `std::errc::bad_file_descriptor`. Throws as `serve_forever` does.
  void handle_request();

  /// Asks `serve_forever`, or a `handle_request` that is waiting, to return. Does not block: it
  /// sets a flag and writes to an eventfd. Call it from any thread, a handler or a signal handler;
  /// before, during or after `serve_forever`. The request is remembered until `restart`.
  void shutdown() noexcept;

  /// Makes a server that was shut down ready to serve again.
  void restart() noexcept;

  /// Closes the server: stops serving, accepts the connections that the kernel has already
  /// completed, closes the listeners, lets running requests finish, and cuts the rest at
  /// `deadline`. Returns within 100 ms of the deadline, even if handlers are stuck in foreign code.
  /// A second call returns the report of the first, and waits for it if the first is still closing.
  /// Throws `std::errc::resource_deadlock_would_occur` in a handler or a hook.
  DrainReport server_close(Deadline deadline);
  /// Closes the server within the drain limit of the options.
  DrainReport server_close();

  /// Returns the address that the first (or the given) listener is bound to, with the actual port
  /// if port 0 was asked for. Python: `server_address`.
  Address server_address(std::size_t listener = 0) const;
  /// Returns how many listeners there are.
  std::size_t listeners() const noexcept;

  /// Returns duplicates of the sockets of all listeners that have not failed, for another program
  /// that serves them too, or takes over: `net.handover`. The file of a Unix socket then stays as
  /// long as any program serves it. Call it from any thread, but not while the server is being
  /// closed. Throws the errors of fcntl(2).
  std::vector<Socket> duplicate_listeners() const;

  /// Returns a descriptor that is readable when `handle_request` would not wait, so that one poll
  /// loop can serve several servers; -1 once the server is closed. The descriptor also becomes
  /// readable when a limit has expired, so the loop needs no timeout of its own, and when the
  /// server is closed. Python: `fileno`.
  int fileno() const noexcept;

  /// Returns counters of what the server has done so far in this process.
  Stats stats() const;

  /// Starts measuring how long requests take. From any thread.
  void time_requests() noexcept;
  /// Returns what has been measured since `time_requests`. From any thread.
  RequestTimes request_times() const noexcept;

  /// Returns how much of the server's limits is in use. From any thread.
  Load load() const;

  /// Sets whether `ready` may return true, for example for the health check of a load balancer.
  /// Changes nothing else: the server goes on accepting new clients. From any thread.
  void set_ready(bool ready) noexcept { wants_clients_.store(ready); }
  /// Returns whether the server wants new clients and serves them: it is active, and neither
  /// stopping nor closed. From any thread.
  bool ready() const noexcept;

  /// Kills the children that serve requests of this server, at once. In a forked process it kills
  /// none. Meant for a second signal, when waiting is over; safe in a signal handler.
  void kill_children() noexcept;

 protected:
  /// Used by the server classes of this library.
  explicit BaseServer(AnyServerParts& parts);

 private:
  // The engine of this process. In a process that was forked since, it is one of its own.
  Engine& here(const char* call) const;

  mutable std::atomic<Engine*> engine_;
  std::atomic<bool> wants_clients_{true};
};

}  // namespace net
