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
  process,  ///< the policy refused: no thread, no child
  make,     ///< constructor or factory of the handler
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

/// Describes an exception that a connection, or a hook, ended with.
struct RequestError {
  Phase phase;
  std::exception_ptr exception;
  Address client_address;  ///< unspecified if the error is not of one connection

  /// Returns the exception's `what()`, or "unknown exception".
  std::string what() const;
  /// Tells whether the peer went away (reset, broken pipe): normal life.
  bool peer_gone() const noexcept;
  /// Tells whether a limit passed.
  bool timed_out() const noexcept;
};

/// Is a message of the library to whoever runs the server.
struct Event {
  enum class Kind : std::uint8_t { request_error, accept_error, listener_dead, hook_error, stuck };
  Kind kind;
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
/// An exception of a hook ends the connection that it was called for, and no other; it is counted,
/// and told to `handle_error`. One from `handle_error` is counted.
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

  /// Returns what somebody is told who is rejected (`Overload::reject`), by default nothing. It is
  /// sent once, as far as it goes without waiting.
  virtual std::string on_overload(const Address& client_address);

  /// Is called once for each turn of the serving loop, and at least once in the poll interval of
  /// `serve_forever`. Python: `service_actions`.
  virtual void service_actions();

  /// Is called when `handle_request` waited in vain. Python: `handle_timeout`.
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
