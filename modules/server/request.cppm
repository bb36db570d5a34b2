/// \file
/// `net.server:request`: what a policy is given to run.
export module net.server:request;

import net.standard;
import net.handler;

namespace net {
class Connection;
struct RequestAccess;
}  // namespace net

export namespace net {

/// A connection with something to do, in the hand of a policy. Moves; never copied.
///
/// A request has one owner at a time, and every call but `cut` is the owner's. Destroying it ends
/// the connection politely and counts it as dropped.
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

  /// Serves the connection to its end, waiting in this thread where it must. Never throws.
  void run();

  /// Serves one request, or what is here of one. After `close` the connection is gone and this is
  /// empty; after `keep`, `step` again if `ready`, else `park`. Never throws.
  Next step();

  /// Returns whether there is more to do already, so that a park would come back at once.
  bool ready() const noexcept;

  /// Gives the connection back to the server; it comes again through `process`, or through
  /// `ParkingLot::wait`, when there is something to do. Precondition: not empty.
  void park();

  /// Does the same unless something came meanwhile: then it stays in this hand, and is false.
  bool try_park();

  /// Ends it unserved, with the answer of `ServerHooks::on_overload`; counted as shed. For a policy
  /// that has no place for it: `Overload::reject`. On the serving thread.
  void reject();

  /// Asks the server to free a slot by ending its longest-silent conversation or child. If none is
  /// silent now, returns false, and the server keeps looking until this request is served.
  /// `Overload::evict_idle`. On the serving thread.
  bool evict_idle() noexcept;

  /// Returns the connection's descriptor. Precondition: not empty.
  int fileno() const noexcept;
  /// Returns the peer's address. Precondition: not empty.
  const Address& peer() const noexcept;

  /// Returns whether it is a conversation: it will hold what runs it until it ends. Precondition:
  /// not empty.
  bool conversation() const noexcept;

  /// Returns until when a conversation should have begun; later, the server sheds it. Precondition:
  /// not empty.
  Deadline deadline() const noexcept;

  /// Cuts the connection: every call on it fails from now on. From any thread, while the request
  /// exists. Precondition: not empty.
  void cut() noexcept;

 private:
  friend struct RequestAccess;

  inline explicit Request(Connection* connection) noexcept : connection_(connection) {}
  inline Connection* release() noexcept { return std::exchange(connection_, nullptr); }
  void drop() noexcept;

  Connection* connection_ = nullptr;
};

/// Holds requests in order, without allocating: the links are the connections'. Destroying it drops
/// what it holds. Thread safety: none.
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
  /// Takes the first. Precondition: there is one.
  Request pop() noexcept;
  /// Moves those that have waited for too long, or that the server cut, to `overdue`, which ends
  /// them when it is destroyed: without a lock, as handlers may be told. Returns how many of them
  /// are conversations. For a policy's `expire`.
  std::size_t take_overdue(RequestQueue& overdue) noexcept;

 private:
  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace net

namespace net {

// What only the library does with requests.
struct RequestAccess {
  static inline Request of(Connection& connection) noexcept { return Request(&connection); }
  static inline Connection* release(Request& request) noexcept { return request.release(); }
  static inline Connection& connection(const Request& request) noexcept {
    return *request.connection_;
  }
};

}  // namespace net
