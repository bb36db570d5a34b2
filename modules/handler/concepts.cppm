/// \file
/// `net.handler:concepts`: what makes a class a handler.
export module net.handler:concepts;

import net.standard;
import :context;
import :request_handler;

export namespace net {

/// Is derived from a base, publicly.
// Not std::derived_from, and below neither std::default_initializable nor std::constructible_from:
// they ask about volatile pointers and destructors as well, and take ten times as long to compile,
// for each importer.
template <class D, class B>
concept DerivedFrom = requires(const D* derived, void (&use)(const B*)) { use(derived); };

/// Answers a request: `handle()` is public and returns `Next` (one request a call) or nothing (a
/// conversation).
template <class H>
concept RequestHandler = requires(H& handler) {
  { handler.handle() } -> std::same_as<Next>;
} || requires(H& handler) {
  { handler.handle() } -> std::same_as<void>;
};

/// Answers one request a call.
template <class H>
concept OneRequestHandler = requires(H& handler) {
  { handler.handle() } -> std::same_as<Next>;
};

/// Answers a datagram: by `void handle()`, as there is no next request of a datagram.
template <class H>
concept DatagramHandler =
    RequestHandler<H> && !OneRequestHandler<H> && !DerivedFrom<H, StreamRequestHandler>;

/// Answers what a connection brings.
template <class H>
concept StreamHandler = RequestHandler<H> && !DerivedFrom<H, DatagramRequestHandler>;

/// Says when a request is whole: how many of the received bytes it has, 0 if more is needed. The
/// function is `public: static std::size_t request_size(std::span<const std::byte> received)`.
template <class H>
concept FramedHandler =
    requires { static_cast<std::size_t (*)(std::span<const std::byte>)>(&H::request_size); };

/// Reads through the buffers of the connection, so that the server may read ahead.
template <class H>
concept BufferedHandler = FramedHandler<H> || DerivedFrom<H, StreamRequestHandler>;

/// Can be made by the library: default-constructible if derived from a base, else from its context.
template <class H>
concept LibraryConstructible = (DerivedFrom<H, BaseRequestHandler> && requires { H(); }) ||
                               requires(RequestContext& context) { H(context); };

}  // namespace net

namespace net {

// Finds names in a class whatever they name and whatever their access: in a class derived from it
// and from this one, a name that both have is ambiguous.
struct ReservedNames {
  void setup();
  void finish();
  void request_size();
};
template <class H>
struct BesideReservedNames : H, ReservedNames {};

// Nothing can be derived from a final class; there, names are found that may be used.
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

// Has `handle` in both forms, one of them for constant objects: the other would never be called.
template <class H>
concept HandlesBothWays = requires(const H& handler) { handler.handle(); } &&
                          OneRequestHandler<H> != requires(const H& handler) {
                            { handler.handle() } -> std::same_as<Next>;
                          };

// Reads the socket itself, without the buffers that the server gathers a request in.
template <class H>
concept RawHandler = DerivedFrom<H, BaseRequestHandler> && !DerivedFrom<H, StreamRequestHandler>;

}  // namespace net

export namespace net {

/// Refuses, with a sentence that says what is required, functions of a handler that would be
/// ignored without a word. Each server class checks its handler so.
template <class H>
struct HandlerChecks {
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
  /// True; a program that reads it compiles only if every check holds.
  static constexpr bool passed = true;
};

}  // namespace net
