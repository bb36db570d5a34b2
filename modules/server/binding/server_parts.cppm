/// \file
/// `net.server:server_parts`: sorts the arguments of a server's constructor.
export module net.server:server_parts;

import net.standard;
import net.socket;
import net.handler;
import :handler_binding;
import :hook_checks;
import :hooks;
import :options;
import :policy;

namespace net {

// What a server serves: its address families and its type of socket.
enum class ServerKind : std::uint8_t { tcp, udp, unix_stream, unix_datagram, packet };

constexpr bool is_stream(ServerKind kind) noexcept {
  return kind == ServerKind::tcp || kind == ServerKind::unix_stream;
}

// A class of hooks that does not override `verify_request`. A class derived from it may do so: see
// `may_be_derived`.
template <class H>
concept LeavesVerifyRequest =
    std::same_as<decltype(&H::verify_request), decltype(&ServerHooks::verify_request)>;

// The same for `on_close`.
template <class H>
concept LeavesOnClose = std::same_as<decltype(&H::on_close), decltype(&ServerHooks::on_close)>;

// The same for `on_request`.
template <class H>
concept LeavesOnRequest =
    std::same_as<decltype(&H::on_request), decltype(&ServerHooks::on_request)>;

// Whether an object may be of a class derived from its static type.
template <class H>
bool may_be_derived([[maybe_unused]] const H& hooks) {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 16
  // This GCC refuses typeid unless the importer itself has included <typeinfo>.
  return !std::is_final_v<H>;
#else
  return typeid(hooks) != typeid(H);
#endif
}

// The parts of a server that do not depend on its handler and policy. The functions are neither
// templates nor inline, so that the code of `std::shared_ptr` is compiled only once.
struct AnyServerParts {
  AnyServerParts() noexcept;
  AnyServerParts(const AnyServerParts&) = delete;
  AnyServerParts& operator=(const AnyServerParts&) = delete;
  ~AnyServerParts();

  // The first two take ownership of their argument.
  void own(HandlerMaker* handler_maker) noexcept;
  void own(AnyPolicy* any_policy);
  void share(const std::shared_ptr<AnyPolicy>& any_policy) noexcept;
  void adopt(Socket socket);
  void adopt(std::vector<Socket> sockets);
  // Throws `invalid_argument` if the options are out of bounds, or do not fit this kind of server.
  void check_options() const;

  std::span<const Address> addresses;  // owned by the caller; must outlive this
  ServerOptions options;
  std::shared_ptr<HandlerMaker> maker;
  std::shared_ptr<AnyPolicy> policy;
  ServerHooks* hooks = nullptr;
  CalledHooks called;
  std::vector<Socket> adopted;
  ServerKind kind = ServerKind::tcp;
};

// Sorts the arguments of a server's constructor by their type, so that they may come in any order.
template <class H, class P>
struct ServerParts : AnyServerParts {
  P* given_policy = nullptr;

  // The kind of an argument.
  template <class A>
  static constexpr bool is_options = std::same_as<A, ServerOptions>;
  template <class A>
  static constexpr bool is_policy =
      std::same_as<A, typename P::Options> || std::same_as<A, SharedPolicy<P>>;
  template <class A>
  static constexpr bool is_hooks = DerivedFrom<A, ServerHooks>;
  template <class A>
  static constexpr bool is_sockets =
      std::same_as<A, Socket> || std::same_as<A, std::vector<Socket>>;
  template <class A>
  static constexpr bool is_factory =
      !is_options<A> && !is_policy<A> && !is_hooks<A> && !is_sockets<A> && HandlerFactory<A, H>;
  // Can be called as a factory, but may return something else.
  template <class A>
  static constexpr bool is_callable = requires(A& factory, RequestContext& context) {
    factory(context);
  } || requires(A& factory) { factory(); };

  template <class... Args>
  ServerParts(ServerKind server_kind, std::span<const Address> server_addresses, Args&&... args) {
    static_assert((0 + ... + is_options<std::decay_t<Args>>) <= 1,
                  "a server takes net::ServerOptions once");
    static_assert(
        (0 + ... + is_policy<std::decay_t<Args>>) <= 1,
        "a server takes its policy's Options once, or a net::SharedPolicy in their place");
    static_assert((0 + ... + is_hooks<std::decay_t<Args>>) <= 1,
                  "a server takes one object of hooks");
    static_assert((0 + ... + is_factory<std::decay_t<Args>>) <= 1,
                  "a server takes one factory of handlers");
    static_assert(LibraryConstructible<H> || (is_factory<std::decay_t<Args>> || ...),
                  "the handler is neither default-constructible (if it derives from "
                  "net::BaseRequestHandler) nor constructible from net::RequestContext&: give "
                  "the server a factory that returns one");
    kind = server_kind;
    addresses = server_addresses;
    // The options are checked before the policy is made, as its constructor may start threads.
    (take_options(args), ...);
    check_options();
    (take(std::forward<Args>(args)), ...);
    if constexpr (!(is_factory<std::decay_t<Args>> || ...) && LibraryConstructible<H>) {
      own(new HandlerMaking<H, DefaultFactory<H>>(DefaultFactory<H>{}));
    }
    if (given_policy == nullptr) bind(new PolicyBinding<P>(typename P::Options{}));
  }

  template <class A>
  void take_options(const A& argument) {
    if constexpr (is_options<A>) options = argument;
  }

  template <class A>
  void take(A&& argument) {
    using Plain = std::decay_t<A>;
    if constexpr (is_options<Plain>) {
      // Taken already.
    } else if constexpr (std::same_as<Plain, typename P::Options>) {
      bind(new PolicyBinding<P>(std::forward<A>(argument)));
    } else if constexpr (std::same_as<Plain, SharedPolicy<P>>) {
      share(argument.any_);
      given_policy = &*argument;
    } else if constexpr (is_hooks<Plain>) {
      static_assert(HookChecks<Plain>::passed);
      static_assert(std::is_lvalue_reference_v<A>, "the hooks must outlive the server");
      static_assert(!std::is_const_v<std::remove_reference_t<A>>, "the hooks must not be const");
      hooks = &argument;
      const bool derived = may_be_derived(argument);
      called = {.verify_request = !LeavesVerifyRequest<Plain> || derived,
                .on_close = !LeavesOnClose<Plain> || derived,
                .on_request = !LeavesOnRequest<Plain> || derived};
    } else if constexpr (is_sockets<Plain>) {
      adopt(std::forward<A>(argument));
    } else if constexpr (is_factory<Plain>) {
      own(new HandlerMaking<H, Plain>(std::forward<A>(argument)));
    } else if constexpr (is_callable<Plain>) {
      static_assert(is_factory<Plain>, "the factory must return the server's handler, by value");
    } else {
      static_assert(
          is_factory<Plain>,
          "a server takes net::ServerOptions, its policy's Options or a "
          "net::SharedPolicy of it, hooks derived from net::ServerHooks, sockets to adopt, "
          "and a factory that returns the handler");
    }
  }

  void bind(PolicyBinding<P>* binding) {
    own(binding);
    given_policy = &binding->policy();
  }
};

}  // namespace net
