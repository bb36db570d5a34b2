/// \file
/// `net.handler:request_handler`: the bases to derive handlers from.
export module net.handler:request_handler;

import net.standard;
import net.socket;
import :context;
import :datagram;
import :stream;

export namespace net {

/// The base of handlers that use the connection itself. Python: `BaseRequestHandler`.
///
///     Methods for the derived class: context, request, client_address
///     Methods that may be defined by it: setup, handle, finish
///
/// A handler defines `void handle()` or `net::Next handle()`. A `setup` or `finish` of its own
/// never has to call the base's. In its constructor there is no connection yet.
///
/// With `net::Next handle()`, a handler of this base is called only when there is something to read
/// through `request()`. If it leaves some of it, it is called again at once; if it reads nothing at
/// all, only when new bytes have arrived. At the end of the stream it is called one last time, to
/// receive 0 bytes; the connection ends then, whatever it returns.
class BaseRequestHandler {
 public:
  BaseRequestHandler() noexcept = default;
  BaseRequestHandler(const BaseRequestHandler&) = delete;
  BaseRequestHandler& operator=(const BaseRequestHandler&) = delete;
  virtual ~BaseRequestHandler();

  /// Is called once, before the first `handle`. May be overridden.
  virtual void setup();
  /// Is called once, after the last `handle`, also if that threw. May be overridden.
  virtual void finish();

  /// Gives the handler its connection. Called by the server (or by your test), once.
  void attach(RequestContext& context);

 protected:
  /// The handler's context, its connection, and where its client is. Precondition: `attach` was
  /// called.
  RequestContext& context() const;
  Socket& request() const;
  const Address& client_address() const;

 private:
  virtual void attached(RequestContext& context);

  RequestContext* context_ = nullptr;
};

/// The base of handlers that read and write a stream. Python: `StreamRequestHandler`.
class StreamRequestHandler : public BaseRequestHandler {
 public:
  ~StreamRequestHandler() override;

 protected:
  StreamReader rfile;  ///< what the client sends
  StreamWriter wfile;  ///< what the client is sent

 private:
  void attached(RequestContext& context) override;
};

/// The base of handlers that answer a datagram. Python: `DatagramRequestHandler`.
///
/// `rfile` reads the packet. What is written to `wfile`, if anything, is sent as one datagram after
/// `finish`, unless an exception ended the handler. `reply` sends at once. A handler that
/// neither writes nor replies sends nothing.
class DatagramRequestHandler : public BaseRequestHandler {
 public:
  ~DatagramRequestHandler() override;

 protected:
  /// The datagram, its bytes, and `Datagram::reply`. Precondition: `attach` was called, with the
  /// context of a datagram.
  Datagram& datagram() const;
  inline std::span<const std::byte> packet() const { return datagram().packet(); }
  inline bool reply(std::span<const std::byte> bytes) { return datagram().reply(bytes); }
  inline bool reply(std::string_view text) { return datagram().reply(bytes(text)); }

  StreamReader rfile;  ///< the packet
  StreamWriter wfile;  ///< the answer

 private:
  void attached(RequestContext& context) override;
};

}  // namespace net
