/// \file
/// `net.handler:concepts`: the requirements on a handler class.
export module net.handler:concepts;

import net.standard;
import :context;
import :request_handler;

export namespace net {

/// A class that is publicly derived from a base.
// Does not use std::derived_from; the concepts below do not use std::default_initializable and
// std::constructible_from. Those also check volatile pointers and destructors, and take ten times
// as long to compile, in each importer.
template <class D, class B>
concept DerivedFrom = requires(const D* derived, void (&use)(const B*)) { use(derived); };

/// A class that answers requests: its public `handle()` returns `Next` (one request for each call)
/// or nothing (a conversation).
template <class H>
concept RequestHandler = requires(H& handler) {
  { handler.handle() } -> std::same_as<Next>;
} || requires(H& handler) {
  { handler.handle() } -> std::same_as<void>;
};

/// A handler whose `handle()` answers one request for each call.
template <class H>
concept OneRequestHandler = requires(H& handler) {
  { handler.handle() } -> std::same_as<Next>;
};

/// A handler of datagrams. It has `void handle()`, as a datagram has no next request.
template <class H>
concept DatagramHandler =
    RequestHandler<H> && !OneRequestHandler<H> && !DerivedFrom<H, StreamRequestHandler>;

/// A handler of connections.
template <class H>
concept StreamHandler = RequestHandler<H> && !DerivedFrom<H, DatagramRequestHandler>;

/// A handler that can tell when a request is complete. Its function `public: static std::size_t
/// request_size(std::span<const std::byte> received)` returns the size of the first request in the
/// received bytes, or 0 if more bytes are needed.
template <class H>
concept FramedHandler =
    requires { static_cast<std::size_t (*)(std::span<const std::byte>)>(&H::request_size); };

/// A handler that reads through the buffers of the connection, so that the server may read ahead.
template <class H>
concept BufferedHandler = FramedHandler<H> || DerivedFrom<H, StreamRequestHandler>;

/// A handler that the library can construct: default-constructible if it is derived from a base,
/// otherwise constructible from a `RequestContext&`.
template <class H>
concept LibraryConstructible = (DerivedFrom<H, BaseRequestHandler> && requires { H(); }) ||
                               requires(RequestContext& context) { H(context); };

}  // namespace net

namespace net {

// The names that the concepts below look for in a handler class, whatever they name there and
// whatever their access. In a class that is derived from the handler class and from this one, a
// name that both have is ambiguous.
struct ReservedNames {
  void setup();
  void finish();
  void request_size();
};
template <class H>
struct BesideReservedNames : H, ReservedNames {};

// Nothing can be derived from a final class, so only accessible names are found there.
template <class H>
concept Inheritable = std::is_class_v<H> && !std::is_final_v<H>;
template <class H>
concept NamesSetup =
    requires { &H::setup; } || (Inheritable<H> && !requires { &BesideReservedNames<H>::setup; });
template <class H>
concept NamesFinish =
    requires { &H::finish; } || (Inheritable<H> && !requires { &BesideReservedNames<H>::finish; });
template <class H>
concept NamesRequestSize = requires { &H::request_size; } ||
                           (Inheritable<H> && !requires { &BesideReservedNames<H>::request_size; });

template <class H>
concept CanSetup = requires(H& handler) {
  { handler.setup() } -> std::same_as<void>;
};
template <class H>
concept CanFinish = requires(H& handler) {
  { handler.finish() } -> std::same_as<void>;
};

// A class with both forms of `handle`, of which one is const. The server would never call that one,
// because its handler objects are not const.
template <class H>
concept HandlesBothWays = requires(const H& handler) { handler.handle(); } &&
                          OneRequestHandler<H> != requires(const H& handler) {
                            { handler.handle() } -> std::same_as<Next>;
                          };

// A handler that reads the socket itself, without the buffers in which the server collects a
// request.
template <class H>
concept RawHandler = DerivedFrom<H, BaseRequestHandler> && !DerivedFrom<H, StreamRequestHandler>;

}  // namespace net

export namespace net {

/// Rejects functions of a handler that would be silently ignored, with a message that says what is
/// required. Each server class checks its handler with this.
template <class H>
struct HandlerChecks {
  static_assert(std::is_class_v<H> && !std::is_const_v<H>,
                "a handler is a class, without `const` and `&`");
  static_assert(!std::is_abstract_v<H>,
                "a handler must not be abstract: it overrides all pure virtual functions");
  static_assert(!std::is_base_of_v<BaseRequestHandler, H> || DerivedFrom<H, BaseRequestHandler>,
                "a handler's base must be public, as in `struct Echo : net::StreamRequestHandler`");
  static_assert(
      !requires { H::handle(); },
      "handle must not be static: it is `net::Next handle()` or `void handle()`");
  static_assert(!HandlesBothWays<H>,
                "handle has two forms here: a handler has either `net::Next handle()` (one request "
                "a call) or `void handle()` (a conversation)");
  static_assert(!NamesSetup<H> || CanSetup<H>, "setup must be `public: void setup()`");
  static_assert(!NamesFinish<H> || CanFinish<H>, "finish must be `public: void finish()`");
  static_assert(!NamesRequestSize<H> || FramedHandler<H>,
                "request_size must be `public: static std::size_t request_size("
                "std::span<const std::byte> received)`");
  static_assert(!NamesRequestSize<H> || !DerivedFrom<H, DatagramRequestHandler>,
                "request_size has no effect beside net::DatagramRequestHandler: a datagram is a "
                "request");
  static_assert(
      !NamesRequestSize<H> || OneRequestHandler<H>,
      "request_size has no effect beside `void handle()`: it is for `net::Next handle()`");
  static_assert(!NamesRequestSize<H> || !RawHandler<H> || DerivedFrom<H, DatagramRequestHandler>,
                "request_size needs net::StreamRequestHandler: what the server gathers is read "
                "from rfile, and a handler of net::BaseRequestHandler reads the socket");
  /// Always true. A program that reads it compiles only if every check holds.
  static constexpr bool passed = true;
};

}  // namespace net
