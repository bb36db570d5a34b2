/// \file
/// `net.handler:context`: what a handler sees of its connection and its server.
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
  close,  ///< it ends, when the answer is sent
  keep,   ///< it waits for the next request
  /// The answer goes on: `handle` is called again when what it has written so far is sent, without
  /// a worker that waits for that; of a handler that writes to `request()`, when that has room
  /// again. A large answer is written in pieces of at most `ServerOptions::write_buffer` so.
  more
};

/// A handler's view of its connection and server: Python's `self.request`,
/// `self.client_address` and `self.server`. A server makes one for each connection; tests of a
/// handler may derive their own over a `socket_pair`.
///
/// Thread safety: what tells of the server (`server_address`, `shutdown`, `stopping`, `stats`),
/// from any thread while the handler lives; the rest, where the handler runs.
class RequestContext {
 public:
  RequestContext(const RequestContext&) = delete;
  RequestContext& operator=(const RequestContext&) = delete;
  virtual ~RequestContext();

  /// Returns the connection. Python: `self.request`. You may close it, move it elsewhere or put
  /// another socket in its place: the server lets go of it, and once the handler returns the
  /// connection counts as served. For a datagram, the server's own socket; what you take from
  /// there is a duplicate, and the server's stays open. Sends first what is held of the answers to
  /// pipelined requests.
  inline Socket& socket() noexcept {
    stream_.stop_holding();
    return stream_.socket();
  }

  /// Returns the connection with the buffers that `StreamReader` and `StreamWriter` work on.
  inline BufferedStream& stream() noexcept { return stream_; }
  inline const BufferedStream& stream() const noexcept { return stream_; }

  /// Returns the datagram; null for a connection.
  inline Datagram* datagram() noexcept { return datagram_; }
  inline const Datagram* datagram() const noexcept { return datagram_; }

  /// Returns where the client is: the peer, as accept(2) told, unless a proxy that the server
  /// trusts named another. Python: `self.client_address`.
  inline const Address& client_address() const noexcept { return client_address_; }

  /// Returns where the proxy is that named the client; null if `client_address` is the peer itself.
  inline const Address* proxy_address() const noexcept { return proxy_address_.get(); }

  /// Returns our end's address: of a datagram, the one that it was sent to. Errors as
  /// `Socket::getsockname`.
  Address local_address() const;

  /// Returns the address that the listener is bound to. Python: `self.server.server_address`.
  virtual const Address& server_address() const noexcept = 0;

  /// Asks the server to stop serving, and does not wait for it. Python: `self.server.shutdown`,
  /// which must not be called from a handler there.
  virtual void shutdown() noexcept = 0;

  /// Returns whether the server drains: after this request, the connection is kept only if more
  /// input follows at once.
  virtual bool stopping() const noexcept = 0;

  /// Returns what the server counted so far.
  virtual Stats stats() const = 0;

  /// Returns how many bytes the request has, as the handler's `request_size` has found, so that
  /// `handle` needs not look for its end again; 0 without framing. Meant for the beginning of
  /// `handle`; after `Next::more` it says nothing.
  virtual std::size_t request_size() const noexcept;

  /// Bounds all operations on the connection by a point in time, for this request.
  inline void set_deadline(Deadline deadline) noexcept { socket().set_deadline(deadline); }

  /// Returns the limits of this connection, the server's to begin with, and sets them. Setting
  /// throws `std::errc::invalid_argument` for a limit that is zero or negative, and changes nothing
  /// then.
  inline const Limits& limits() const noexcept { return limits_; }
  void set_limits(const Limits& limits);

  /// Takes the connection away from the server, which never touches it again; it counts as served.
  /// What `rfile` holds already stays readable there until `handle` returns. Throws
  /// `std::errc::operation_not_supported` for a datagram, whose socket is the server's.
  Socket detach();
  /// Returns whether `detach` was called.
  inline bool detached() const noexcept { return detached_; }

 protected:
  /// Makes the context of a connection that came from `client_address`.
  RequestContext(Socket connection, const Address& client_address, const Limits& limits) noexcept;
  /// Makes it the context of a datagram, which must outlive it.
  inline void set_datagram(Datagram& datagram) noexcept { datagram_ = &datagram; }
  /// Makes the peer a proxy, which has named its client. Throws `std::errc::not_enough_memory`.
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
