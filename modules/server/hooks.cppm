/// \file
/// `net.server:hooks`: where an application observes and decides.
export module net.server:hooks;

import net.standard;
import net.socket;

export namespace net {

/// Names where an exception came from.
enum class Phase : std::uint8_t {
  verify_request,
  on_overload,
  on_close,
  on_bad_request,
  on_request,
  proxy_header,  ///< the server, while it reads the header of `ServerOptions::proxy_protocol`
  process,       ///< the policy, which could not run the request: no thread, no child
  make,          ///< the constructor or the factory of the handler
  setup,
  receive,  ///< the library, while it receives a request or sends the rest of an answer
  handle,
  finish,
  service_actions,
  handle_timeout,
  handle_listener_error,
};

/// Returns the name of the phase as it is written in code.
const char* name(Phase phase) noexcept;

/// How a connection ended. Each outcome has its counter in `Stats`, which describes it.
enum class Outcome : std::uint8_t {
  none,  ///< it has not ended
  served,
  closed_idle,
  shed,  ///< it waited for too long: `Stats::shed_waiting`
  rejected,
  evicted,
  greedy,
  too_many,
  too_fast,
  timed_out,
  failed,
  cut,
  dropped,
  refused,
  not_introduced,
};

/// Returns the name of the outcome as it is written in code.
const char* name(Outcome outcome) noexcept;

/// Describes a connection that has ended.
struct ClosedConnection {
  const Address& client_address;  ///< as the proxy named it, if there is one
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  Outcome outcome;                ///< never `none`
};

/// Describes a finished request: a call of `handle`, with the calls that follow `Next::more`, and
/// the bytes sent to the client. A conversation or a datagram is one request. Also describes a
/// request for which no handler was called, as it was malformed, too large or late. The byte counts
/// cover what passed through the connection's `Socket`, not through its bare descriptor, as long as
/// the handler left the socket in its place.
struct RequestRecord {
  using Time = std::chrono::steady_clock::time_point;
  const Address& client_address;  ///< as the proxy named it, if there is one
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  const Address& server_address;  ///< the address of the listener
  std::string_view policy;        ///< the name of its type, as `net::ThreadPool`
  std::uint64_t number;           ///< its number on its connection, from 1
  /// `served`, if all of the answer was sent and the handler did not throw; otherwise how the
  /// connection ended.
  Outcome outcome;
  // A time is `Time()` if the event has not happened.
  Time accepted;  ///< the server accepted the connection, or received the datagram
  /// The first byte of the request was received: by the handler itself, in a conversation or from a
  /// bare socket. A pipelined request may have been received together with the request before it.
  Time first_byte;
  Time begun;                    ///< the handler was called
  Time handled;                  ///< the handler has returned for the last time, or has thrown
  Time sent;                     ///< the kernel has taken all of the answer
  std::uint64_t bytes_received;  ///< that belong to the request
  std::uint64_t bytes_sent;      ///< that the kernel has taken
};

/// The reason why no handler was called for a request.
enum class BadRequest : std::uint8_t {
  too_large,  ///< more than `ServerOptions::max_request_size`
  malformed,  ///< `request_size` threw
  late,       ///< not whole within `Limits::request`
};

/// Describes an exception that ended a connection or a hook.
struct RequestError {
  Phase phase;                   ///< where it was thrown
  std::exception_ptr exception;  ///< never null
  Address client_address;        ///< unspecified if the error is not of one connection

  /// Returns the exception's `what()`, or "unknown exception".
  std::string what() const;
  /// Returns whether the peer closed the connection (connection reset, broken pipe), which is
  /// normal.
  bool peer_gone() const noexcept;
  /// Returns whether something exceeded its maximum size: a request or a line.
  bool too_large() const noexcept;
  /// Returns whether a limit expired.
  bool timed_out() const noexcept;
};

/// A message of the library to the operator of the server.
struct Event {
  /// What a message is about: an exception in a request or a hook, accept(2) that failed, or a
  /// listener that is dead.
  enum class Kind : std::uint8_t { request_error, accept_error, listener_dead };
  Kind kind;  ///< by default, at most one line a second is reported for each kind
  /// One line, without its end. Control characters in text that clients may influence are written
  /// as `\n` and `\x1b`.
  std::string text;
};

/// Lets an application observe and decide. Derive from this class, override what you need, and give
/// the object to the server. It must outlive the server, so no hook is called on a partly
/// constructed or destroyed object.
///
/// Thread safety: for one server, the hooks that run on the serving thread (the one in
/// `serve_forever`, `handle_request` or `server_close`) are never called concurrently.
/// `handle_error` and `report` are called concurrently, from where the handler ran (for
/// ForkPerRequest: in the child).
///
/// An exception from a hook that decides ends the connection for which the hook was called, and no
/// other; it is counted and passed to `handle_error`. An exception from a hook that is only
/// notified does not affect any client. An exception from `handle_error` is counted.
class ServerHooks {
 public:
  ServerHooks() noexcept;
  ServerHooks(const ServerHooks&) = delete;
  ServerHooks& operator=(const ServerHooks&) = delete;
  virtual ~ServerHooks();

  /// Binds the listener. An override may set socket options first. Python: `server_bind`.
  virtual void server_bind(Socket& listener, const Address& address);

  /// Makes the listener listen. Python: `server_activate`.
  virtual void server_activate(Socket& listener, int request_queue_size);

  /// Decides whether a new connection is served; false closes it. Under a policy that polls the
  /// parking lot itself, as ThreadPool does, this runs for datagrams on the thread that will run
  /// the handler, concurrently. Python: `verify_request`.
  virtual bool verify_request(const Socket& request, const Address& client_address);

  /// Returns the message for a rejected client (`Overload::reject`), empty by default. It is sent
  /// with one non-blocking call, so it may be truncated.
  virtual std::string on_overload(const Address& client_address);

  /// Returns the last message for a client whose request is bad, empty by default. It is sent once,
  /// as far as that is possible without waiting, before the connection is closed politely. Called
  /// on the thread that received the request, concurrently; for ForkPerRequest perhaps in the
  /// child.
  virtual std::string on_bad_request(const Address& client_address, BadRequest why);

  /// Called once for each connection when its socket is about to be closed, even if no handler was
  /// made for it or if a child served it. Not called for datagrams, nor for connections that the
  /// server had no memory for. Called on the thread on which the connection ended, concurrently;
  /// never in a child. After this call, the connection's slot in `ServerOptions::max_connections`
  /// is free.
  virtual void on_close(const ClosedConnection& connection);

  /// Called when a request is over, for an access log. Overriding this makes the server record the
  /// times and bytes of each request, which costs two hundred bytes for each connection and 470
  /// instructions for each request. Called on the thread that served the request, concurrently,
  /// while the connection waits: the log must not block, so write it in a thread of its own. For
  /// ForkPerRequest this is called in the child, which has none of its parent's threads. Requests
  /// in a child that crashes, exits or is killed are reported by `on_close` only.
  virtual void on_request(const RequestRecord& record);

  /// Called once for each turn of the serving loop, and at least once in the poll interval of
  /// `serve_forever`. Python: `service_actions`.
  virtual void service_actions();

  /// Called when `handle_request` timed out. Python: `handle_timeout`.
  virtual void handle_timeout();

  /// Called when a listener has failed: it accepts no more connections, while the others go on.
  /// When the last listener has failed, `serve_forever` throws the error.
  virtual void handle_listener_error(const Address& address, std::exception_ptr error);

  /// Called for an exception in a request or a hook. The default reports a line, except for
  /// connections that the peer closed and limits that expired: `Stats` counts those. Python:
  /// `handle_error`.
  virtual void handle_error(const RequestError& error);

  /// Receives the library's messages. The default writes a line to stderr, at most one a second for
  /// each kind, and none while stderr would block.
  virtual void report(const Event& event);
};

}  // namespace net

namespace net {

// Which of the hooks that cost something for each connection or request are called. This follows
// from the type of the hooks.
struct CalledHooks {
  bool verify_request = false;
  bool on_close = false;
  bool on_request = false;
};

}  // namespace net

export namespace net {

/// Hooks for the threads or children that a policy makes, for example to give each its own database
/// connection in a `thread_local`. They must outlive the policy.
class WorkerHooks {
 public:
  WorkerHooks() noexcept;
  WorkerHooks(const WorkerHooks&) = delete;
  WorkerHooks& operator=(const WorkerHooks&) = delete;
  virtual ~WorkerHooks();

  /// Called in the worker, before its first request, concurrently with the calls in other workers.
  /// A thread of ThreadPerRequest that has stopped may start again, if a request arrives just then.
  virtual void worker_started() noexcept;
  /// Called in the worker, after its last request; not in a child that crashes or is killed.
  virtual void worker_stopped() noexcept;
};

}  // namespace net
