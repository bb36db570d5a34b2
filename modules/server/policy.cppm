/// \file
/// `net.server:policy`: the interface between a server and the class that runs its requests.
///
/// A policy is a class that is constructed from its options and a context. The server passes
/// requests to it. The smallest policy runs each request on the serving thread:
///
///     struct FirstPolicy {
///       struct Options {};
///       FirstPolicy(Options, net::PolicyContext&) {}
///       void process(net::Request request) {
///         if (request.step() == net::Next::keep) request.park();
///       }
///       net::DrainReport drain(net::Deadline) { return {}; }
///     };
///
///     net::TcpServer<Echo, FirstPolicy> server{address};
///
/// docs/policies.md goes on to pools, and states the rules for a policy.
/// `<netserve/policy_conformance.hpp>` tests a policy against them.
export module net.server:policy;

import net.standard;
import net.socket;
import :options;
import :parking_lot;
import :request;

export namespace net {

/// What the library offers to a policy. It lives as long as the policy.
class PolicyContext {
 public:
  PolicyContext(const PolicyContext&) = delete;
  PolicyContext& operator=(const PolicyContext&) = delete;

  /// Calls `ready` on a serving thread whenever `descriptor` is readable, until `unwatch`. Call
  /// this only on a serving thread, or in the policy's constructor. Throws
  /// `std::errc::file_exists` if the descriptor is watched already.
  void watch(int descriptor, std::function<void()> ready);
  /// Ends a watch: `ready` is not called any more. If servers share the policy, another serving
  /// thread may be calling it meanwhile. May be called where `watch` may.
  void unwatch(int descriptor) noexcept;

  /// Takes over the parking lot: from now on the policy calls `ParkingLot::wait`, and the server
  /// passes to `process` only conversations, datagrams that the serving thread has received, and
  /// requests that must be ended. Call this only in the policy's constructor.
  ParkingLot& take_parking_lot();

  /// Declares how many descriptors a request needs besides that of its connection, so that the
  /// default of `ServerOptions::max_connections` leaves enough. Call this only in the policy's
  /// constructor.
  void each_opens(std::size_t descriptors) noexcept;

 protected:
  PolicyContext();
  ~PolicyContext();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net

namespace net {

// The private side of a context, for the library.
class OwnPolicyContext final : public PolicyContext {
 public:
  std::size_t descriptors_each() const noexcept;
  // Null if the policy has not taken it.
  OwnParkingLot* parking_lot() const noexcept;
  int fileno() const noexcept;
  void dispatch();
  // Whether it was made, or renewed, in this process.
  bool ours() const noexcept;
  // For a forked process: `close` closes what it shares with its parent, `renew` replaces it.
  void close() noexcept;
  void close_watched() noexcept;
  void renew();
};

// The parts of `ExecutionPolicy`, each with a sentence in `PolicyChecks`.
template <class P>
concept HasOptions = requires { typename P::Options; };
// Not std::constructible_from, which takes the compiler ten times as long.
template <class P>
concept TakesOptions = requires(typename P::Options options, PolicyContext& context) {
  P(std::move(options), context);
};
template <class P>
concept Processes = requires(P& policy, Request request) { policy.process(std::move(request)); };
template <class P>
concept Drains = requires(P& policy, Deadline deadline) {
  { policy.drain(deadline) } -> std::same_as<DrainReport>;
};

}  // namespace net

export namespace net {

/// A class that runs requests.
///
/// The serving thread (of each server that shares the policy) calls `process` with a request that
/// is ready: a conversation that was just accepted, a connection whose next request has arrived, or
/// a datagram. `process` should return soon. If it throws, the connection is dropped and counted.
///
/// `drain` is called once, when the server has no connection left or the time of its drain is over.
/// The policy ends its threads, and reports how many it could not end.
///
/// A policy may have a member `void start()`. It is called once in each process in which a server
/// of the policy serves, on the serving thread, before the first request. Start threads there and
/// not in the constructor, so that a program can construct a server, fork (daemon(3)), and serve in
/// the child. `serve_forever` and `handle_request` throw what `start` throws, and may be called
/// again.
///
/// A policy with a queue may have a member `void expire()`. A serving thread calls it when requests
/// have waited for longer than their limit. `expire` should call `RequestQueue::take_overdue`.
/// Without `expire`, an overdue request ends when the policy takes it from the queue and steps it.
///
/// A policy may have a member `PolicyLoad load()`, which `BaseServer::load` calls from any thread
/// once the policy has started.
template <class P>
concept ExecutionPolicy = HasOptions<P> && TakesOptions<P> && Processes<P> && Drains<P>;

/// Rejects a policy that lacks a function or has one that nothing would call, with a message that
/// says what is required. Each server class checks its policy with this.
template <class P>
struct PolicyChecks {
  static_assert(HasOptions<P>, "a policy has a type `Options`");
  static_assert(TakesOptions<P>,
                "a policy has a constructor from `(Options, net::PolicyContext&)`");
  static_assert(Processes<P>, "a policy has `void process(net::Request)`");
  static_assert(Drains<P>, "a policy has `net::DrainReport drain(net::Deadline)`");
  static_assert(
      !requires { &P::start; } || requires(P& policy) { policy.start(); },
      "a policy's start must be `void start()`");
  static_assert(
      !requires { &P::expire; } || requires(P& policy) { policy.expire(); },
      "a policy's expire must be `void expire()`");
  static_assert(
      !requires { &P::load; } ||
          requires(P& policy) {
            { policy.load() } -> std::same_as<PolicyLoad>;
          },
      "a policy's load must be `net::PolicyLoad load()`");
  /// True; a program that reads it compiles only if every check holds.
  static constexpr bool passed = true;
};

}  // namespace net

namespace net {

// The interface by which a server calls any policy, and the policy's context.
class AnyPolicy {
 public:
  AnyPolicy();
  AnyPolicy(const AnyPolicy&) = delete;
  AnyPolicy& operator=(const AnyPolicy&) = delete;
  virtual ~AnyPolicy();

  virtual void process(Request request) = 0;
  virtual DrainReport drain(Deadline deadline) = 0;
  // Makes the policy end requests that have waited in its queue for too long. A policy that has not
  // started in this process has no queue yet.
  void expire();

  // The name of the policy's type, for logs.
  virtual std::string_view name() const noexcept = 0;

  // How busy the policy is, if it has a member `load` and has started in this process. From any
  // thread.
  PolicyLoad load();

  // Starts the policy in this process, unless it has started. To be called before `process`.
  void start_here();

  OwnPolicyContext& context() noexcept { return context_; }
  // Whether this process may destroy the policy: its threads, if any, belong to this process.
  bool ours() const noexcept;

 protected:
  virtual void start() = 0;
  virtual bool can_start() const noexcept = 0;
  virtual PolicyLoad load_now() = 0;
  virtual void expire_now() = 0;

 private:
  bool started_here() const noexcept;

  OwnPolicyContext context_;
  const unsigned made_in_;  // the process
  std::atomic<unsigned> started_in_{0};
};

// Takes ownership of a policy. Only a process in which `AnyPolicy::ours` is true destroys it. Any
// other process abandons it, since the policy's threads do not exist there.
// Not a template: a std::shared_ptr for each policy would take long to compile.
std::shared_ptr<AnyPolicy> owned(AnyPolicy* policy);

// The name of a type as it is written in code, without its module. GCC leaves out the namespace
// that a function is in, hence the class. GCC also evaluates a `std::source_location` in a template
// before it knows T, hence __PRETTY_FUNCTION__.
struct TypeName {
  template <class T>
  static constexpr std::string_view of() noexcept {
    constexpr std::string_view before = "T = ";
    std::string_view name = __PRETTY_FUNCTION__;
    name.remove_prefix(name.find(before) + before.size());
    // GCC puts the types that the name depends on into the same brackets.
    return name.substr(0, name.find_first_of("@;]"));
  }
};

template <class P>
class PolicyBinding final : public AnyPolicy {
 public:
  explicit PolicyBinding(typename P::Options options) : policy_(std::move(options), context()) {}
  void process(Request request) override { policy_.process(std::move(request)); }
  DrainReport drain(Deadline deadline) override { return policy_.drain(deadline); }
  std::string_view name() const noexcept override { return TypeName::of<P>(); }
  P& policy() noexcept { return policy_; }

 private:
  void start() override {
    if constexpr (starts) policy_.start();
  }
  bool can_start() const noexcept override { return starts; }
  PolicyLoad load_now() override {
    if constexpr (requires(P& policy) {
                    { policy.load() } -> std::same_as<PolicyLoad>;
                  }) {
      return policy_.load();
    } else {
      return {};
    }
  }

  void expire_now() override {
    if constexpr (requires(P& policy) { policy.expire(); }) policy_.expire();
  }

  static constexpr bool starts = requires(P& policy) { policy.start(); };

  P policy_;
};

template <class H, class P>
struct ServerParts;

}  // namespace net

export namespace net {

/// One policy object for several servers. The copies of this object and the servers that use it
/// share the policy; the last of them destroys it.
///
///     net::SharedPolicy<net::ThreadPool> pool{{.workers = 4}};
///     net::TcpServer<Echo> one{address, pool};
///     net::TcpServer<Time> two{other, pool};
template <class P>
class SharedPolicy {
 public:
  using Options = typename P::Options;
  /// Makes the policy. Throws what its constructor throws.
  explicit SharedPolicy(Options options = {}) {
    auto* const binding = new PolicyBinding<P>(std::move(options));
    any_ = owned(binding);
    policy_ = &binding->policy();
  }

  /// Calls the policy's member `start`, if it has one, now rather than when the first of its
  /// servers begins to serve. A program that reports when it is ready can call this first, to learn
  /// whether the policy's threads can be started. Throws what `start` throws. After a fork, the
  /// servers start the policy again by themselves.
  void start() { any_->start_here(); }

  /// Returns the policy.
  P& operator*() const noexcept { return *policy_; }
  P* operator->() const noexcept { return policy_; }

 private:
  template <class H, class Q>
  friend struct ServerParts;

  std::shared_ptr<AnyPolicy> any_;
  P* policy_ = nullptr;
};

}  // namespace net
