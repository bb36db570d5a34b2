/// \file
/// `net.handler:request_handler`: the base classes of handlers.
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
/// A handler defines `void handle()` or `net::Next handle()`. If it overrides `setup` or `finish`,
/// it need not call the function of the base. In its constructor there is no connection yet.
///
/// With `net::Next handle()`, a handler of this base is called only when there is something to read
/// through `request()`. If it does not read everything, it is called again at once; if it reads
/// nothing at all, it is called again when new bytes have arrived. At the end of the stream it is
/// called one last time, and receives 0 bytes; then the connection ends, even if `handle` returns
/// `Next::keep`.
class BaseRequestHandler {
 public:
  BaseRequestHandler() noexcept = default;
  BaseRequestHandler(const BaseRequestHandler&) = delete;
  BaseRequestHandler& operator=(const BaseRequestHandler&) = delete;
  virtual ~BaseRequestHandler();

  /// Called once, before the first `handle`. May be overridden.
  virtual void setup();
  /// Called once, after the last `handle`, even if that threw. May be overridden.
  virtual void finish();

  /// Gives the handler its connection. The server (or your test) calls this once.
  void attach(RequestContext& context);

 protected:
  /// Return the handler's context, its connection, and the address of its client. Precondition:
  /// `attach` was called.
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
  StreamReader rfile;  ///< the input from the client
  StreamWriter wfile;  ///< the output to the client

 private:
  void attached(RequestContext& context) override;
};

/// The base of handlers that answer a datagram. Python: `DatagramRequestHandler`.
///
/// `rfile` reads the packet. After `finish`, everything written to `wfile` is sent as one datagram,
/// unless an exception ended the handler. `reply` sends at once. A handler that neither writes nor
/// replies sends nothing.
class DatagramRequestHandler : public BaseRequestHandler {
 public:
  ~DatagramRequestHandler() override;

 protected:
  /// Return the datagram, return its bytes, and call `Datagram::reply`. Precondition: `attach` was
  /// called with the context of a datagram.
  Datagram& datagram() const;
  inline std::span<const std::byte> packet() const { return datagram().packet(); }
  inline bool reply(std::span<const std::byte> bytes) { return datagram().reply(bytes); }
  inline bool reply(std::string_view text) { return datagram().reply(bytes(text)); }

  StreamReader rfile;  ///< the packet
  StreamWriter wfile;  ///< the reply

 private:
  void attached(RequestContext& context) override;
};

}  // namespace net
