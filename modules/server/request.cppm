/// \file
/// `net.server:request`: the requests that a policy runs.
export module net.server:request;

import net.standard;
import net.handler;

namespace net {
class Connection;
struct RequestAccess;
}  // namespace net

export namespace net {

/// A connection that is ready to be served, and that a policy owns. Move-only.
///
/// A request has one owner at a time. Only the owner may call its functions, except `cut`. The
/// destructor closes the connection politely and counts it as dropped.
class Request {
 public:
  Request() noexcept = default;
  inline Request(Request&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)) {}
  inline Request& operator=(Request&& other) noexcept {
    Request old(std::exchange(connection_, std::exchange(other.connection_, nullptr)));
    return *this;
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  inline ~Request() {
    if (connection_ != nullptr) drop();
  }

  /// Returns whether there is a connection.
  inline explicit operator bool() const noexcept { return connection_ != nullptr; }

  /// Serves the connection to its end, and waits for the client in this thread. Never throws.
  void run();

  /// Serves the next request (up to 16 that have arrived together), or reads what has arrived of
  /// it. Serves a conversation or a datagram to its end. After `close`, the connection has ended
  /// and this object is empty. After `keep`, call `step` again if `ready`, else `park`. Never
  /// throws.
  Next step();

  /// Returns whether there is more to serve already, so that a parked connection would return at
  /// once.
  bool ready() const noexcept;

  /// Returns the connection to the server. When it is ready again, the policy gets it from
  /// `process` or from `ParkingLot::wait`. Precondition: not empty.
  void park();

  /// Does the same, unless something has arrived meanwhile. Then it returns false, and you still
  /// own the request.
  bool try_park();

  /// Ends the request without serving it, with the message of `ServerHooks::on_overload`, and
  /// counts it as shed. For a policy without a free worker, under `Overload::reject`. To be called
  /// on the serving thread.
  void reject();

  /// Asks the server to free a slot by ending its longest-silent conversation or child. If none is
  /// silent now, returns false, and the server keeps looking until this request is served.
  /// For `Overload::evict_idle`. To be called on the serving thread.
  bool evict_idle() noexcept;

  /// Returns the connection's descriptor. Precondition: not empty.
  int fileno() const noexcept;
  /// Returns the address of the client: the peer, or the client that a proxy named. Precondition:
  /// not empty.
  const Address& peer() const noexcept;

  /// Returns whether this is a conversation, which occupies the thread that runs it until it ends.
  /// Precondition: not empty.
  bool conversation() const noexcept;

  /// Returns the time by which a conversation must have begun; `never` for other requests. The
  /// server sheds a conversation that begins later. Precondition: not empty.
  Deadline deadline() const noexcept;

  /// Cuts the connection: every call on it fails from now on. May be called from any thread while
  /// the request exists. Precondition: not empty.
  void cut() noexcept;

 private:
  friend struct RequestAccess;

  inline explicit Request(Connection* connection) noexcept : connection_(connection) {}
  inline Connection* release() noexcept { return std::exchange(connection_, nullptr); }
  void drop() noexcept;

  Connection* connection_ = nullptr;
};

/// A queue of requests that does not allocate, because the links are in the connections. The
/// destructor drops the requests that are left. Thread safety: none.
class RequestQueue {
 public:
  RequestQueue() noexcept = default;
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;
  ~RequestQueue();

  /// Returns whether it holds no request.
  inline bool empty() const noexcept { return first_ == nullptr; }
  /// Returns how many requests it holds.
  inline std::size_t size() const noexcept { return size_; }
  /// Adds a request at the end, or before all others. Precondition: the request is not empty.
  void push(Request request) noexcept;
  void push_front(Request request) noexcept;
  /// Takes all requests of `other`, in their order.
  void append(RequestQueue& other) noexcept;
  /// Removes and returns the first request. Precondition: not empty.
  Request pop() noexcept;
  /// Moves requests that have waited for too long, or that the server has cut, to `overdue`, whose
  /// destructor ends them. Destroy `overdue` without holding a lock, since hooks and handlers may
  /// run. Returns how many of them are conversations. For a policy's `expire`.
  std::size_t take_overdue(RequestQueue& overdue) noexcept;

 private:
  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace net

namespace net {

// The functions of a request that only the library calls.
struct RequestAccess {
  static inline Request of(Connection& connection) noexcept { return Request(&connection); }
  static inline Connection* release(Request& request) noexcept { return request.release(); }
  static inline Connection& connection(const Request& request) noexcept {
    return *request.connection_;
  }
};

}  // namespace net
