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

/// What every server does. Python: `BaseServer`, with the defects that are known there gone.
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
/// A server belongs to the process that made it. After a fork, the child may serve it as well: the
/// calls that serve, bind or poll make everything anew there that it would share with its parent. A
/// copy that does not serve only closes descriptors at its end.
///
/// Thread safety: `shutdown` from anywhere, signal handlers included; `stats`, `server_address` and
/// `server_close` from any thread; the rest from one at a time.
class BaseServer {
 public:
  BaseServer(const BaseServer&) = delete;
  BaseServer& operator=(const BaseServer&) = delete;

  /// Closes, within the drain limit of the options, and waits for handlers that are stuck.
  virtual ~BaseServer();

  /// Binds the listeners. In the constructor unless `bind_and_activate` is off.
  /// Errors as `Socket::bind`; nothing stays open then.
  void server_bind();

  /// Makes them listen, and registers them.
  void server_activate();

  /// Serves until `shutdown`; hooks are called at least once each `poll_interval`, which delays
  /// nothing else. Returns at once if a `shutdown` came before. Starts the policy if it was not
  /// started in this process, and throws what that throws: `resource_unavailable_try_again` if
  /// there are no threads; it may be called again then. Throws `std::errc::operation_in_progress`
  /// if it runs already, `std::errc::bad_file_descriptor` if the server is closed or not activated,
  /// `std::errc::invalid_argument` for a negative interval, and what the last listener died of.
  void serve_forever(std::chrono::milliseconds poll_interval = std::chrono::milliseconds(500));

  /// Serves one event, an accept or a parked request, within `ServerOptions::timeout`; calls
  /// `handle_timeout` if there was none. Limits that pass meanwhile act, but are no event.
  ///
  /// While a `shutdown` is pending, serves an event that is ready, but waits for none and does not
  /// call `handle_timeout`. A `server_close` in another thread ends the wait as well; later calls
  /// throw `std::errc::bad_file_descriptor`. Errors as `serve_forever`.
  void handle_request();

  /// Asks `serve_forever` to return, and a `handle_request` that waits; never waits itself: a flag
  /// and a write to an eventfd. From any thread, a handler or a signal handler; before, during or
  /// after `serve_forever`. Remembered until `restart`.
  void shutdown() noexcept;

  /// Makes a server that was shut down ready to serve again.
  void restart() noexcept;

  /// Closes: stops serving, takes the connections that the kernel has completed already, closes the
  /// listeners, lets requests in hand be served, and cuts what is left at `deadline`. Returns
  /// within 100 ms of it, even if handlers are stuck in foreign code. A second call returns the
  /// first report; if the first is still closing, after waiting for it. Throws
  /// `std::errc::resource_deadlock_would_occur` in a handler or a hook.
  DrainReport server_close(Deadline deadline);
  /// Does so within the drain limit of the options.
  DrainReport server_close();

  /// Returns where the first (or the given) listener is bound, a port of 0 resolved.
  /// Python: `server_address`.
  Address server_address(std::size_t listener = 0) const;
  /// Returns how many listeners there are.
  std::size_t listeners() const noexcept;

  /// Returns duplicates of the sockets of all listeners that are not dead, for another program that
  /// serves them as well, or next: `net.handover`. The file of a Unix socket then stays as long as
  /// any program serves it. From any thread, while the server is not being closed. Errors as
  /// fcntl(2).
  std::vector<Socket> duplicate_listeners() const;

  /// Returns a descriptor that is readable when `handle_request` would not wait, so that several
  /// servers fit in one poll loop; -1 once closed. It also becomes readable when a limit has
  /// passed, so the loop needs no time-out of its own, and when the server is closed. Python:
  /// `fileno`.
  int fileno() const noexcept;

  /// Returns what the server did so far, in this process.
  Stats stats() const;

  /// Has the server measure how long requests take, from now on. From any thread.
  void time_requests() noexcept;
  /// Returns what was measured since. From any thread.
  RequestTimes request_times() const noexcept;

  /// Returns how much of its limits is in use. From any thread.
  Load load() const;

  /// Sets whether the server wants to be sent new clients, for what asks `ready`: a load balancer's
  /// check. Changes nothing else: it goes on to serve new clients. From any thread.
  void set_ready(bool ready) noexcept { wants_clients_.store(ready); }
  /// Returns whether it wants new clients and serves them: it is active, and neither stopping nor
  /// closed. From any thread.
  bool ready() const noexcept;

  /// Kills the children that serve requests of this server, at once; none from a forked process.
  /// For a second signal, when waiting is over; safe in a signal handler.
  void kill_children() noexcept;

 protected:
  /// For the server classes of this library.
  explicit BaseServer(AnyServerParts& parts);

 private:
  // The server as this process may use it: in one that was forked since, one of its own.
  Engine& here(const char* call) const;

  mutable std::atomic<Engine*> engine_;
  std::atomic<bool> wants_clients_{true};
};

}  // namespace net
