/// \file
/// `net.server:handler_binding`: one interface to any handler class, so that the engine has no
/// templates.
export module net.server:handler_binding;

import net.standard;
import net.handler;

namespace net {

/// The interface by which a server calls any handler. Made by a `HandlerMaker`.
class BoundHandler {
 public:
  BoundHandler() noexcept = default;
  BoundHandler(const BoundHandler&) = delete;
  BoundHandler& operator=(const BoundHandler&) = delete;
  virtual ~BoundHandler();
  virtual void setup() = 0;
  virtual Next handle() = 0;
  virtual void finish() = 0;
};

/// Makes handlers, and has the properties of their class that the server needs before it makes one.
class HandlerMaker {
 public:
  HandlerMaker(const HandlerMaker&) = delete;
  HandlerMaker& operator=(const HandlerMaker&) = delete;
  virtual ~HandlerMaker();

  /// Makes a handler for a connection, which owns it. Called concurrently.
  // A std::unique_ptr would cost a tenth of the time to compile a small server.
  virtual BoundHandler* make(RequestContext& context) = 0;

  using RequestSize = std::size_t (*)(std::span<const std::byte> received);

  inline bool conversation() const noexcept { return conversation_; }
  inline bool reads_ahead() const noexcept { return reads_ahead_; }
  /// Returns the framing; null if the class has none.
  inline RequestSize request_size() const noexcept { return request_size_; }

 protected:
  HandlerMaker(bool conversation, bool reads_ahead, RequestSize request_size) noexcept
      : conversation_(conversation), reads_ahead_(reads_ahead), request_size_(request_size) {}

 private:
  bool conversation_;
  bool reads_ahead_;
  RequestSize request_size_;
};

/// The default factory, which makes handlers that are `LibraryConstructible`.
template <class H>
struct DefaultFactory {
  H operator()(RequestContext& context) const
    requires(!DerivedFrom<H, BaseRequestHandler>)
  {
    return H(context);
  }
  H operator()() const
    requires DerivedFrom<H, BaseRequestHandler>
  {
    return H();
  }
};

/// A function that returns handlers of class `H`, called with the context or without an argument.
export template <class F, class H>
concept HandlerFactory = requires(F& factory, RequestContext& context) {
  { factory(context) } -> std::same_as<H>;
} || requires(F& factory) {
  { factory() } -> std::same_as<H>;
};

template <class H>
class HandlerBinding final : public BoundHandler {
 public:
  // The factory's result is made in place: handlers need not be movable.
  template <class F>
  HandlerBinding(F& factory, RequestContext& context)
    requires requires { factory(context); }
      : handler_(factory(context)) {
    attach(context);
  }
  template <class F>
  HandlerBinding(F& factory, RequestContext& context)
    requires(!requires { factory(context); })
      : handler_(factory()) {
    attach(context);
  }

  void setup() override {
    if constexpr (requires { handler_.setup(); }) handler_.setup();
  }
  Next handle() override {
    if constexpr (OneRequestHandler<H>) {
      return handler_.handle();
    } else {
      handler_.handle();
      return Next::close;
    }
  }
  void finish() override {
    if constexpr (requires { handler_.finish(); }) handler_.finish();
  }

 private:
  void attach(RequestContext& context) {
    if constexpr (DerivedFrom<H, BaseRequestHandler>) handler_.attach(context);
  }

  H handler_;
};

template <class H, class F>
class HandlerMaking final : public HandlerMaker {
 public:
  explicit HandlerMaking(F factory)
      : HandlerMaker(!OneRequestHandler<H>, BufferedHandler<H>, framing()),
        factory_(std::move(factory)) {}

  BoundHandler* make(RequestContext& context) override {
    return new HandlerBinding<H>(factory_, context);
  }

 private:
  static constexpr RequestSize framing() noexcept {
    if constexpr (FramedHandler<H>) {
      return &H::request_size;
    } else {
      return nullptr;
    }
  }

  F factory_;
};

}  // namespace net
