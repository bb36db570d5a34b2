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

/// A connection that a policy can serve now. It can be moved, not copied.
///
/// A request has one owner at a time, and only the owner may call its functions, except `cut`.
/// Destroying a request ends the connection politely and counts it as dropped.
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

  /// Serves the connection to its end, and blocks this thread where it must wait. Never throws.
  void run();

  /// Serves one request, or the part of it that has arrived. After `close` the connection is closed
  /// and this object is empty. After `keep`, call `step` again if `ready`, otherwise `park`. Never
  /// throws.
  Next step();

  /// Returns whether there is more to do already, so that a parked connection would be returned at
  /// once.
  bool ready() const noexcept;

  /// Gives the connection back to the server. It is passed to `process`, or returned by
  /// `ParkingLot::wait`, when there is something to do again. Precondition: not empty.
  void park();

  /// Parks the connection and returns true, unless it has more to do already: then the caller keeps
  /// it.
  bool try_park();

  /// Ends the connection unserved, with the message of `ServerHooks::on_overload`; counted as shed.
  /// For a policy that has no free slot: `Overload::reject`. Call it on the serving thread.
  void reject();

  /// Asks the server to free a slot by ending its longest-silent conversation or child. If none is
  /// silent now, returns false, and the server keeps looking until this request is served. For
  /// `Overload::evict_idle`. Call it on the serving thread.
  bool evict_idle() noexcept;

  /// Returns the connection's descriptor. Precondition: not empty.
  int fileno() const noexcept;
  /// Returns the peer's address. Precondition: not empty.
  const Address& peer() const noexcept;

  /// Returns whether the request is a conversation, which occupies its thread or child until it
  /// ends. Precondition: not empty.
  bool conversation() const noexcept;

  /// Returns the time until which a conversation must be started; after that the server sheds it.
  /// Precondition: not empty.
  Deadline deadline() const noexcept;

  /// Cuts the connection: every call on it fails from now on. Call it from any thread, while the
  /// request exists. Precondition: not empty.
  void cut() noexcept;

 private:
  friend struct RequestAccess;

  inline explicit Request(Connection* connection) noexcept : connection_(connection) {}
  inline Connection* release() noexcept { return std::exchange(connection_, nullptr); }
  void drop() noexcept;

  Connection* connection_ = nullptr;
};

/// A queue of requests that never allocates: the links are in the connections. Destroying it drops
/// the requests in it. Thread safety: none.
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
  /// Add a request at the end, or before all others. Precondition: the request is not empty.
  void push(Request request) noexcept;
  void push_front(Request request) noexcept;
  /// Moves all requests of `other` to the end of this queue, in their order.
  void append(RequestQueue& other) noexcept;
  /// Removes and returns the first request. Precondition: the queue is not empty.
  Request pop() noexcept;
  /// Moves the requests that have waited for too long, or that the server has cut, to `overdue`.
  /// Destroying `overdue` ends them; do that without a lock, as hooks may be called. Returns how
  /// many of them are conversations. For a policy's `expire`.
  std::size_t take_overdue(RequestQueue& overdue) noexcept;

 private:
  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace net

namespace net {

// Access to requests for the library only.
struct RequestAccess {
  static inline Request of(Connection& connection) noexcept { return Request(&connection); }
  static inline Connection* release(Request& request) noexcept { return request.release(); }
  static inline Connection& connection(const Request& request) noexcept {
    return *request.connection_;
  }
};

}  // namespace net
