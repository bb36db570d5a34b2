/// \file
/// `net.server:hooks`: where an application sees and decides.
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
  proxy_header,  ///< the server, reading who the client is: `ServerOptions::proxy_protocol`
  process,       ///< the policy refused: no thread, no child
  make,          ///< constructor or factory of the handler
  setup,
  receive,  ///< the library, gathering a request or sending the rest of an answer
  handle,
  finish,
  service_actions,
  handle_timeout,
  handle_listener_error,
};

/// Returns the phase's name as it is written in code.
const char* name(Phase phase) noexcept;

/// How a connection ended. Each has its counter in `Stats`, which says more.
enum class Outcome : std::uint8_t {
  none,  ///< it has not
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

/// Describes a connection that has ended.
struct ClosedConnection {
  const Address& client_address;  ///< of a proxied connection, as the proxy named it
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  Outcome outcome;                ///< never `none`
};

/// Describes a request that is over: a call of `handle` with those after `Next::more`, and what its
/// client was sent; a conversation or a datagram as a whole; or what came of a request that no
/// handler was called for, as it was malformed, too large or late. Bytes are those that passed the
/// connection's `Socket`, not its bare descriptor, as long as the handler left it in its place.
struct RequestRecord {
  using Time = std::chrono::steady_clock::time_point;
  const Address& client_address;  ///< of a proxied connection, as the proxy named it
  const Address* proxy_address;   ///< null if `client_address` is the peer itself
  const Address& server_address;  ///< the listener's
  std::string_view policy;        ///< its type, as `net::ThreadPool`
  std::uint64_t number;           ///< among those of its connection, from 1
  /// `served`, if all of the answer was sent and the handler did not throw; else how its connection
  /// ended.
  Outcome outcome;
  // What has not happened is `Time()`.
  Time accepted;  ///< the connection was taken from the kernel, or the datagram
  /// Something of it was received: by the handler itself, in a conversation or from a bare socket.
  /// A pipelined request may have come with what was before it.
  Time first_byte;
  Time begun;                    ///< the handler was called
  Time handled;                  ///< and has returned, the last time; or thrown
  Time sent;                     ///< the kernel has taken all of the answer
  std::uint64_t bytes_received;  ///< that belong to it
  std::uint64_t bytes_sent;      ///< that the kernel has taken
};

/// Names what is wrong with a request that no handler was called for.
enum class BadRequest : std::uint8_t {
  too_large,  ///< more than `ServerOptions::max_request_size`
  malformed,  ///< `request_size` threw
  late,       ///< not whole within `Limits::request`
};

/// Describes an exception that a connection, or a hook, ended with.
struct RequestError {
  Phase phase;                   ///< where it was thrown
  std::exception_ptr exception;  ///< never null
  Address client_address;        ///< unspecified if the error is not of one connection

  /// Returns the exception's `what()`, or "unknown exception".
  std::string what() const;
  /// Returns whether the peer went away (reset, broken pipe): normal life.
  bool peer_gone() const noexcept;
  /// Returns whether something was larger than it may be: a request, a line.
  bool too_large() const noexcept;
  /// Returns whether a limit passed.
  bool timed_out() const noexcept;
};

/// A message of the library to the operator of the server.
struct Event {
  /// What a message is about: an exception in a request or a hook, accept(2) that failed, or a
  /// listener that is dead.
  enum class Kind : std::uint8_t { request_error, accept_error, listener_dead };
  Kind kind;  ///< of which one line a second is reported at most, by default
  /// One line, without its end. What clients may have a say in is without control characters: those
  /// are written as `\n` and `\x1b`.
  std::string text;
};

/// Lets an application see and decide. Derive, override what you need, and give it to the server,
/// which it must outlive: nothing calls into a half-made or half-destroyed object.
///
/// Thread safety: what runs on the serving thread (the one in `serve_forever`, `handle_request` or
/// `server_close`) is never called twice at once for one server. `handle_error` and `report` are
/// called concurrently, from where the handler ran (for ForkPerRequest: in the child).
///
/// An exception of a hook that decides ends the connection that it was called for, and no other; it
/// is counted, and told to `handle_error`. One of a hook that is only told of something costs
/// nobody anything. One from `handle_error` is counted.
class ServerHooks {
 public:
  ServerHooks() noexcept;
  ServerHooks(const ServerHooks&) = delete;
  ServerHooks& operator=(const ServerHooks&) = delete;
  virtual ~ServerHooks();

  /// Binds the listener. Overriders may set options first. Python: `server_bind`.
  virtual void server_bind(Socket& listener, const Address& address);

  /// Makes it listen. Python: `server_activate`.
  virtual void server_activate(Socket& listener, int request_queue_size);

  /// Decides whether a new connection is served; false closes it. Under a policy that waits in the
  /// parking lot by itself, as ThreadPool does, a datagram is asked about where its handler runs,
  /// concurrently. Python: `verify_request`.
  virtual bool verify_request(const Socket& request, const Address& client_address);

  /// Returns the message for a rejected client (`Overload::reject`), empty by default. It is sent
  /// with one call that does not wait, so it may be truncated.
  virtual std::string on_overload(const Address& client_address);

  /// Returns a last word to a client whose request is no good, by default nothing. It is sent once,
  /// as far as it goes without waiting, before the connection is closed politely. Called where the
  /// request was received, concurrently; for ForkPerRequest perhaps in the child.
  virtual std::string on_bad_request(const Address& client_address, BadRequest why);

  /// Is told of the end of each connection, once, when its socket is about to be closed: also of
  /// those that no handler was made for, and of those that a child served. Not of datagrams, nor of
  /// those that there was no memory for. Called where the connection ended, concurrently; never in
  /// a child. The connection's place among `ServerOptions::max_connections` is free after it.
  virtual void on_close(const ClosedConnection& connection);

  /// Is told of each request when it is over, for an access log. Each has its times and its bytes
  /// noted if this is overridden: two hundred bytes a connection, 470 instructions a request.
  /// Called where the request was served, concurrently, while its connection waits: a log must not
  /// block, as one that writes in a thread of its own. For ForkPerRequest it is called in the
  /// child, which has none of its parent's threads; of what a child has in hand that crashes, exits
  /// or is killed, only `on_close` tells.
  virtual void on_request(const RequestRecord& record);

  /// Is called once for each turn of the serving loop, and at least once in the poll interval of
  /// `serve_forever`. Python: `service_actions`.
  virtual void service_actions();

  /// Is called when `handle_request` timed out. Python: `handle_timeout`.
  virtual void handle_timeout();

  /// Is told that a listener is dead: it accepts nothing any more; the others go on. When the last
  /// is dead, `serve_forever` throws the error.
  virtual void handle_listener_error(const Address& address, std::exception_ptr error);

  /// Is told of an exception in a request or a hook. The default reports a line, except for peers
  /// that went away and limits that passed, which `Stats` counts. Python: `handle_error`.
  virtual void handle_error(const RequestError& error);

  /// Takes the library's messages. The default writes a line to stderr, at most one a second for
  /// each kind, and none while stderr would block.
  virtual void report(const Event& event);
};

}  // namespace net

namespace net {

// Which hooks are called of those that cost something for each connection or request; by the type
// of the hooks.
struct CalledHooks {
  bool verify_request = false;
  bool on_close = false;
  bool on_request = false;
};

}  // namespace net

export namespace net {

/// Is told of the threads, or children, that a policy makes: to give each a connection of its own
/// to a database, for example, by a `thread_local`. Outlives the policy.
class WorkerHooks {
 public:
  WorkerHooks() noexcept;
  WorkerHooks(const WorkerHooks&) = delete;
  WorkerHooks& operator=(const WorkerHooks&) = delete;
  virtual ~WorkerHooks();

  /// Is called in the worker, before its first request; concurrently with those of others. A thread
  /// of ThreadPerRequest that has stopped may start again, if a request comes just then.
  virtual void worker_started() noexcept;
  /// Is called in the worker, after its last request; not in a child that crashes or is killed.
  virtual void worker_stopped() noexcept;
};

}  // namespace net
