/// \file
/// `net.socket:socket_watch`: how an owner of sockets follows their use.
export module net.socket:socket_watch;

import net.standard;

export namespace net {

/// The callbacks of a `Socket`: before it gives up its descriptor and, if requested, after each
/// receive and send. See `Socket::set_watch`.
class SocketWatch {
 public:
  SocketWatch() noexcept = default;
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  /// Called by `close`, `detach`, a move and the destructor, on the calling thread, while
  /// `descriptor` is still open. `closing` is true if the descriptor will be closed next. Returns
  /// the descriptor to continue with: the same one, or a replacement.
  virtual int before_release(int descriptor, bool closing) noexcept = 0;

  /// Called after each receive and each send, on the calling thread, with the number of bytes
  /// transferred, if `set_watch` was called with `counts`.
  virtual void received(std::size_t bytes) noexcept;
  virtual void sent(std::size_t bytes) noexcept;

 protected:
  ~SocketWatch() = default;
};

}  // namespace net
