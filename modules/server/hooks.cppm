/// \file
/// `net.server:hooks`: functions of the application that the server calls.
export module net.server:hooks;

import net.standard;
import net.socket;

export namespace net {

/// Where an exception was thrown.
enum class Phase : std::uint8_t {
  verify_request,
  on_overload,
  on_close,
  on_bad_request,
  on_request,
  proxy_header,  ///< in the server, while it reads a header: `ServerOptions::proxy_protocol`
  process,       ///< in the policy, for example when it has no thread or child for a request
  make,          ///< in the constructor or the factory of the handler
  setup,
  receive,  ///< in the library, while it gathers a request or sends the rest of an answer
  handle,
  finish,
  service_actions,
  handle_timeout,
  handle_listener_error,
};

/// Returns the phase's name, for messages: "the making of its handler" for `make`; for the others,
/// the name as it is written in code.
const char* name(Phase phase) noexcept;

/// How a connection ended. Each outcome but `none` has a counter in `Stats`, which explains it.
enum class Outcome : std::uint8_t {
  none,  ///< the connection has not ended
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

/// Returns the outcome's name as it is written in code.
const char* name(Outcome outcome) noexcept;

/// A connection that has ended.
struct ClosedConnection {
  const Address& client_address;  ///< behind a proxy, the address that the proxy named
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  Outcome outcome;                ///< never `none`
};

/// A request that is over. This is a call of `handle`, with the calls that follow `Next::more`, and
/// its answer; or a whole conversation or datagram; or a request that no handler was called for,
/// because it was malformed, too large or late. Bytes are counted if they pass the connection's
/// `Socket`, not if the handler uses the bare descriptor or moves the socket elsewhere.
struct RequestRecord {
  using Time = std::chrono::steady_clock::time_point;
  const Address& client_address;  ///< behind a proxy, the address that the proxy named
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  const Address& server_address;  ///< the listener's
  std::string_view policy;        ///< the name of the policy's type, such as `net::ThreadPool`
  std::uint64_t number;           ///< the number of the request on its connection, from 1
  /// `served` if the whole answer was sent and the handler did not throw. Otherwise the outcome of
  /// the connection.
  Outcome outcome;
  // The time of an event that has not happened is `Time()`.
  Time accepted;  ///< the connection was accepted, or the datagram received
  /// The first bytes of the request were received. In a conversation, and from a bare socket, the
  /// handler itself receives them. A pipelined request may have arrived together with the one
  /// before it.
  Time first_byte;
  Time begun;                    ///< the handler was called
  Time handled;                  ///< the last call of the handler returned or threw
  Time sent;                     ///< the kernel had taken the whole answer
  std::uint64_t bytes_received;  ///< bytes of the request
  std::uint64_t bytes_sent;      ///< bytes of the answer that the kernel has taken
};

/// Why no handler was called for a request.
enum class BadRequest : std::uint8_t {
  too_large,  ///< larger than `ServerOptions::max_request_size`
  malformed,  ///< `request_size` threw
  late,       ///< incomplete after `Limits::request`
};

/// An exception that ended a connection or a hook.
struct RequestError {
  Phase phase;                   ///< where it was thrown
  std::exception_ptr exception;  ///< never null
  /// The listener's address for `Phase::handle_listener_error`. Unspecified if the error does not
  /// concern one connection or listener.
  Address client_address;

  /// Returns the exception's `what()`, or "unknown exception".
  std::string what() const;
  /// Returns whether the peer closed the connection (reset, broken pipe), which is no fault of the
  /// server.
  bool peer_gone() const noexcept;
  /// Returns whether a request or a line was larger than its limit.
  bool too_large() const noexcept;
  /// Returns whether a deadline expired.
  bool timed_out() const noexcept;
};

/// A message of the library to the operator of the server.
struct Event {
  /// What a message is about: an exception in a request or a hook, a failed accept(2), or a
  /// listener that is dead.
  enum class Kind : std::uint8_t { request_error, accept_error, listener_dead };
  Kind kind;  ///< the default `report` writes at most one line a second of each kind
  /// One line, without a newline. Control characters, which may come from a client, are written as
  /// escapes such as `\n` and `\x1b`.
  std::string text;
};

/// The functions that a server calls to inform the application, or to let it decide. Derive from
/// this class, override the functions that you need, and pass the object to the server. It must
/// outlive the server, so that no function of a half-constructed or half-destroyed object is ever
/// called.
///
/// Thread safety: hooks that run on the serving thread (the one in `serve_forever`,
/// `handle_request` or `server_close`) are never called concurrently for one server. `handle_error`
/// and `report` are called concurrently, on the thread that ran the handler (for ForkPerRequest: in
/// the child).
///
/// An exception of a hook that decides about a connection ends that connection and no other. It is
/// counted, and passed to `handle_error`. An exception of a hook that only informs ends no
/// connection. An exception of `handle_error` is counted.
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

  /// Decides whether a new connection is served; false closes it. For a datagram under a policy
  /// that waits in the parking lot itself, such as ThreadPool, it runs on the thread that will run
  /// the handler, possibly on several at once. Python: `verify_request`.
  virtual bool verify_request(const Socket& request, const Address& client_address);

  /// Returns the message for a rejected client (`Overload::reject`), empty by default. It is sent
  /// with one call that does not wait, so it may be truncated.
  virtual std::string on_overload(const Address& client_address);

  /// Returns the last message to a client whose request is bad, empty by default. It is sent with
  /// one call that does not wait, and then the connection is closed politely. Called concurrently,
  /// on the thread that received the request; for ForkPerRequest this may be in the child.
  virtual std::string on_bad_request(const Address& client_address, BadRequest why);

  /// Is called once for each connection when its socket is about to be closed, also if no handler
  /// was made for it, and if a child served it. It is not called for datagrams, nor for a
  /// connection that the server had no memory for. Called concurrently, on the thread that ends the
  /// connection; never in a child. The connection's slot (`ServerOptions::max_connections`) is
  /// freed afterwards.
  virtual void on_close(const ClosedConnection& connection);

  /// Is called for each request when it is over, for an access log. If it is overridden, the server
  /// notes times and bytes, which takes two hundred bytes for each connection and 470 instructions
  /// for each request. Called concurrently, on the thread that served the request, while the
  /// connection waits, so it must not block: use a log that writes in a thread of its own. For
  /// ForkPerRequest it is called in the child, which has none of its parent's threads. For the
  /// current request of a child that crashes, exits or is killed, only `on_close` is called.
  virtual void on_request(const RequestRecord& record);

  /// Is called once in each iteration of the serving loop, and at least once in each poll interval
  /// of `serve_forever`. Python: `service_actions`.
  virtual void service_actions();

  /// Is called when `handle_request` timed out. Python: `handle_timeout`.
  virtual void handle_timeout();

  /// Is called when a listener has failed for good and accepts nothing any more. The other
  /// listeners go on. When the last one has failed, `serve_forever` throws its error.
  virtual void handle_listener_error(const Address& address, std::exception_ptr error);

  /// Is called for an exception in a request or a hook. The default reports a line, except when the
  /// peer closed the connection or a deadline expired, which `Stats` counts. Python:
  /// `handle_error`.
  virtual void handle_error(const RequestError& error);

  /// Receives the messages of the library. The default writes a line to stderr, at most one a
  /// second of each kind, and none while stderr would block.
  virtual void report(const Event& event);
};

}  // namespace net

namespace net {

// Which of the hooks that cost something for each connection or request are overridden, by the type
// of the hooks object.
struct CalledHooks {
  bool verify_request = false;
  bool on_close = false;
  bool on_request = false;
};

}  // namespace net

export namespace net {

/// Functions that a policy calls in each of its threads or children, for example to give each a
/// database connection in a `thread_local`. The object must outlive the policy.
class WorkerHooks {
 public:
  WorkerHooks() noexcept;
  WorkerHooks(const WorkerHooks&) = delete;
  WorkerHooks& operator=(const WorkerHooks&) = delete;
  virtual ~WorkerHooks();

  /// Is called in the worker before its first request, concurrently with other workers. A thread of
  /// ThreadPerRequest that was about to end may call it again, if a request arrives just then.
  virtual void worker_started() noexcept;
  /// Is called in the worker after its last request, but not in a child that crashes or is killed.
  virtual void worker_stopped() noexcept;
};

}  // namespace net
