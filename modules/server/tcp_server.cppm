/// \file
/// `net.server:tcp_server`: a TCP server of your handler under your policy.
module;

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

export module net.server:tcp_server;

import net.socket;
import net.handler;
import :base_server;
import :handler_binding;
import :hooks;
import :options;
import :policy;
import :thread_pool;

namespace net {

// Sorts what a server's constructor was given, by type, so that nobody counts commas.
template <class H, class P>
struct ServerParts : AnyServerParts {
  P* given_policy = nullptr;

  template <class... Args>
  explicit ServerParts(Args&&... args) {
    (take(std::forward<Args>(args)), ...);
    if (!has_maker()) {
      if constexpr (LibraryConstructible<H>) {
        own(new HandlerMaking<H, DefaultFactory<H>>(DefaultFactory<H>{}));
      } else {
        static_assert(sizeof...(Args) == 0 || (HandlerFactory<std::remove_cvref_t<Args>, H> || ...),
                      "the handler is neither default-constructible (if it derives from "
                      "net::BaseRequestHandler) nor constructible from net::RequestContext&: give "
                      "the server a factory that returns one");
      }
    }
    if (given_policy == nullptr) bind(new PolicyBinding<P>(typename P::Options{}));
  }

  template <class A>
  void take(A&& argument) {
    using Plain = std::remove_cvref_t<A>;
    if constexpr (std::same_as<Plain, ServerOptions>) {
      options = argument;
    } else if constexpr (std::same_as<Plain, typename P::Options>) {
      bind(new PolicyBinding<P>(std::forward<A>(argument)));
    } else if constexpr (std::same_as<Plain, SharedPolicy<P>>) {
      share(argument.any());
      given_policy = &*argument;
    } else if constexpr (DerivedFrom<Plain, ServerHooks>) {
      static_assert(std::is_lvalue_reference_v<A>, "the hooks must outlive the server");
      hooks = &argument;
    } else if constexpr (HandlerFactory<Plain, H>) {
      own(new HandlerMaking<H, Plain>(std::forward<A>(argument)));
    } else {
      static_assert(HandlerFactory<Plain, H>,
                    "a server takes net::ServerOptions, its policy's Options or a "
                    "net::SharedPolicy of it, hooks derived from net::ServerHooks, and a factory "
                    "that returns the handler");
    }
  }

  void bind(PolicyBinding<P>* binding) {
    own(binding);
    given_policy = &binding->policy();
  }
};

}  // namespace net

export namespace net {

/// Serves TCP. Python: `TCPServer`; with `ThreadPerRequest` it is `ThreadingTCPServer`, with
/// `ForkPerRequest` `ForkingTCPServer`.
///
///     net::TcpServer<Echo> server{address};
///     net::TcpServer<Echo, net::ForkPerRequest> server{address, hooks, options};
///
/// After the address (or a span of several), in any order, each at most once and each optional:
/// `ServerOptions`; the policy's `Options`, or a `SharedPolicy`; hooks; a factory of handlers,
/// which is called with a `RequestContext&` or with nothing, concurrently.
template <class Handler, class Policy = ThreadPool>
class TcpServer : public BaseServer {
  static_assert(RequestHandler<Handler>,
                "a handler has a public `net::Next handle()` (one request a call) or "
                "`void handle()` (a conversation)");
  static_assert(ExecutionPolicy<Policy>,
                "a policy has a type Options, a constructor (Options, net::PolicyContext&), "
                "process(net::Request) and net::DrainReport drain(net::Deadline)");

 public:
  template <class... Args>
  explicit TcpServer(const Address& address, Args&&... args)
      : TcpServer(Parts(std::forward<Args>(args)...), address) {}

  template <class... Args>
  explicit TcpServer(std::span<const Address> addresses, Args&&... args)
      : TcpServer(Parts(std::forward<Args>(args)...), addresses) {}

  /// Returns the policy, which lives as long as the server.
  Policy& policy() const noexcept { return *policy_; }

 private:
  using Parts = ServerParts<Handler, Policy>;

  template <class Addresses>
  TcpServer(Parts&& parts, const Addresses& addresses)
      : BaseServer(addresses, parts), policy_(parts.given_policy) {}

  Policy* policy_;
};

}  // namespace net
