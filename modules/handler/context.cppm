/// \file
/// `net.handler:context`: the interface of a handler to its connection and server.
export module net.handler:context;

import net.standard;
import net.socket;
import :buffered_stream;
import :datagram;
import :limits;
import :stats;

export namespace net {

/// What happens to the connection after a request.
enum class Next : std::uint8_t {
  close,  ///< close it, after the answer is sent
  keep,   ///< wait for the next request
  /// Continue the answer: `handle` is called again when the output so far has been sent, and no
  /// worker waits for that. For a handler that writes to `request()`, `handle` is called when the
  /// socket has buffer space again. In this way, a large answer is written in pieces of at most
  /// `ServerOptions::write_buffer`.
  more
};

/// A handler's view of its connection and server: Python's `self.request`, `self.client_address`
/// and `self.server`. A server makes one for each connection; a test of a handler may derive its
/// own, over a `socket_pair`.
///
/// Thread safety: any thread may call the functions that concern the server (`server_address`,
/// `shutdown`, `stopping`, `stats`) while the handler exists. Call the others only where the
/// handler runs.
class RequestContext {
 public:
  RequestContext(const RequestContext&) = delete;
  RequestContext& operator=(const RequestContext&) = delete;
  virtual ~RequestContext();

  /// Returns the connection. Python: `self.request`. You may close it, move it elsewhere or replace
  /// it with another socket: the server then no longer uses the connection, and counts it as served
  /// once the handler returns. For a datagram, this is the server's own socket; if you move from
  /// it, you get a duplicate, and the server's socket stays open. This call first sends any held
  /// answers to pipelined requests, and throws what `StreamWriter::flush` throws.
  inline Socket& socket() {
    stream_.stop_holding();
    return stream_.socket();
  }

  /// Returns the connection with its buffers, which `StreamReader` and `StreamWriter` use.
  inline BufferedStream& stream() noexcept { return stream_; }
  inline const BufferedStream& stream() const noexcept { return stream_; }

  /// Returns the datagram; null for a connection.
  inline Datagram* datagram() noexcept { return datagram_; }
  inline const Datagram* datagram() const noexcept { return datagram_; }

  /// Returns the address of the client: the address of the peer as returned by accept(2), unless a
  /// trusted proxy named another client. Python: `self.client_address`.
  inline const Address& client_address() const noexcept { return client_address_; }

  /// Returns the address of the proxy that named the client; null if `client_address` is the peer
  /// itself.
  inline const Address* proxy_address() const noexcept { return proxy_address_.get(); }

  /// Returns the local address; for a datagram, the address that it was sent to. Throws the errors
  /// of `Socket::getsockname`.
  Address local_address() const;

  /// Returns the address that the listener is bound to. Python: `self.server.server_address`.
  virtual const Address& server_address() const noexcept = 0;

  /// Asks the server to stop serving, without waiting for it. Unlike Python's
  /// `self.server.shutdown`, it may be called from a handler.
  virtual void shutdown() noexcept = 0;

  /// Returns whether the server is shutting down or draining. If so, the connection is kept after
  /// this request only if more input follows soon: within `ServerOptions::quiet_grace` at most.
  virtual bool stopping() const noexcept = 0;

  /// Returns the server's counters so far.
  virtual Stats stats() const = 0;

  /// Returns the size of the request in bytes, as computed by `request_size` of the handler, so
  /// that `handle` need not search for the end again; 0 without framing. Use it at the start of
  /// `handle`; after `Next::more`, the value is meaningless.
  virtual std::size_t request_size() const noexcept;

  /// Sets the deadline of all operations on the connection, for this call of `handle`.
  inline void set_deadline(Deadline deadline) noexcept { stream_.socket().set_deadline(deadline); }

  /// Return and set the limits of this connection, which are initially those of the server.
  /// `set_limits` throws `std::errc::invalid_argument` for a limit that is zero or negative, and
  /// then changes nothing.
  inline const Limits& limits() const noexcept { return limits_; }
  void set_limits(const Limits& limits);

  /// Takes the connection from the server, which never uses it again; the connection counts as
  /// served. Pending output is sent first. If that fails, the call throws like
  /// `StreamWriter::flush`, and the server keeps the connection. Bytes that `rfile` has received
  /// already stay readable there until `handle` returns. Throws
  /// `std::errc::operation_not_supported` for a datagram, whose socket belongs to the server.
  Socket detach();
  /// Returns whether `detach` was called.
  inline bool detached() const noexcept { return detached_; }

 protected:
  /// Makes the context of a connection from `client_address`.
  RequestContext(Socket connection, const Address& client_address, const Limits& limits) noexcept;
  /// Makes this the context of a datagram, which must outlive it.
  inline void set_datagram(Datagram& datagram) noexcept { datagram_ = &datagram; }
  /// Sets the client that a proxy named; the peer becomes the proxy. Throws `std::bad_alloc`.
  void set_client(const Address& client);

 private:
  virtual void limits_changed();

  BufferedStream stream_;
  Datagram* datagram_ = nullptr;
  Address client_address_;
  std::unique_ptr<const Address> proxy_address_;
  Limits limits_;
  bool detached_ = false;
};

}  // namespace net
