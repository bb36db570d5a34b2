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

/// Says when a request is whole: how many of the received bytes it has, 0 if more is needed.
template <class H>
concept FramedHandler = requires(std::span<const std::byte> received) {
  { H::request_size(received) } -> std::same_as<std::size_t>;
};

/// Reads through the buffers of the connection, so that the server may read ahead.
template <class H>
concept BufferedHandler = FramedHandler<H> || DerivedFrom<H, StreamRequestHandler>;

/// Can be made by the library: default-constructible if derived from a base, else from its context.
template <class H>
concept LibraryConstructible = (DerivedFrom<H, BaseRequestHandler> && requires { H(); }) ||
                               requires(RequestContext& context) { H(context); };

}  // namespace net
