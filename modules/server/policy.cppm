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

  /// Calls `ready` on the serving thread whenever `descriptor` is readable, until `unwatch`. To be
  /// called on the serving thread, or in the policy's constructor.
  void watch(int descriptor, std::function<void()> ready);
  /// Ends a watch: `ready` is not called any more. May be called where `watch` may.
  void unwatch(int descriptor) noexcept;

  /// Takes over the parking lot: from now on the policy calls `ParkingLot::wait`, and the server
  /// passes to `process` only conversations and requests that must be ended. To be called in the
  /// policy's constructor.
  ParkingLot& take_parking_lot();

  /// Declares how many descriptors a request needs besides that of its connection, so that the
  /// default of `ServerOptions::max_connections` leaves enough. To be called in the policy's
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

// The same, for the library.
class OwnPolicyContext final : public PolicyContext {
 public:
  std::size_t descriptors_each() const noexcept;
  // Null if it was not taken.
  OwnParkingLot* parking_lot() const noexcept;
  int fileno() const noexcept;
  void dispatch();
  // Whether it was made, or made anew, in this process.
  bool ours() const noexcept;
  // In a process that was forked since: what is shared with the parent is closed, or made anew.
  void close() noexcept;
  void close_watched() noexcept;
  void renew();
};

}  // namespace net

export namespace net {

/// A class that runs requests.
///
/// `drain` is called once, when the server has no connection left or the time is over: the policy
/// ends its threads, and tells what it could not.
///
/// A policy may have a member `void start()`: it is called once in each process in which a server
/// of the policy serves, on the serving thread, before the first request. Threads start there
/// rather than in the constructor, so that a server may be constructed before a fork (daemon(3))
/// and serve after it. What `start` throws, `serve_forever` and `handle_request` throw; they may be
/// tried again.
///
/// A policy with a queue may have a member `void expire()`: it is called on a serving thread when
/// requests have waited for longer than their limit, and calls `RequestQueue::take_overdue`; else
/// they end when they are taken.
///
/// A member `PolicyLoad load()` tells `BaseServer::load` how busy it is; it is called from any
/// thread, once the policy has started.
template <class P>
concept ExecutionPolicy = requires(P& policy, Request request, Deadline deadline,
                                   typename P::Options options, PolicyContext& context) {
  // Not std::constructible_from, which takes the compiler ten times as long.
  P(std::move(options), context);
  policy.process(std::move(request));
  { policy.drain(deadline) } -> std::same_as<DrainReport>;
};

}  // namespace net

namespace net {

// A policy as the server calls it, with its context.
class AnyPolicy {
 public:
  AnyPolicy();
  AnyPolicy(const AnyPolicy&) = delete;
  AnyPolicy& operator=(const AnyPolicy&) = delete;
  virtual ~AnyPolicy();

  virtual void process(Request request) = 0;
  virtual DrainReport drain(Deadline deadline) = 0;
  // Has the policy's queue end what waits there for too long. One that has not started in this
  // process has no queue yet.
  void expire();

  // Its type, for people.
  virtual std::string_view name() const noexcept = 0;

  // How busy it is, if it tells and has started in this process. From any thread.
  PolicyLoad load();

  // Makes the policy ready to run requests in this process. Before `process`; again is harmless.
  void start_here();

  OwnPolicyContext& context() noexcept { return context_; }
  // Whether it may be destroyed in this process: its threads, if it has any, are of this one.
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

// Takes a policy into possession. In a process that was forked since the policy was made or
// started, it is not destroyed: its threads are not there.
// No template: a std::shared_ptr made for each policy is dear to compile.
std::shared_ptr<AnyPolicy> owned(AnyPolicy* policy);

// The name of a type as code has it, without its module.
template <class T>
constexpr std::string_view name_of_type() noexcept {
  constexpr std::string_view here = std::source_location::current().function_name();
  constexpr std::string_view before = "T = ";
  std::string_view name = here.substr(here.find(before) + before.size());
  // GCC names the types behind it in the same brackets.
  return name.substr(0, name.find_first_of("@;]"));
}

template <class P>
class PolicyBinding final : public AnyPolicy {
 public:
  explicit PolicyBinding(typename P::Options options) : policy_(std::move(options), context()) {}
  void process(Request request) override { policy_.process(std::move(request)); }
  DrainReport drain(Deadline deadline) override { return policy_.drain(deadline); }
  std::string_view name() const noexcept override { return name_of_type<P>(); }
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

/// Is one policy object for several servers: copies share it, and it ends with the last of them.
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

  /// Starts the policy (its member `start`, if it has one) now, rather than when the first of its
  /// servers begins to serve: for a program that wants to know whether it can before it says that
  /// it does. Throws what that throws. After a fork, the servers start it again by themselves.
  void start() { any_->start_here(); }

  /// The policy itself.
  P& operator*() const noexcept { return *policy_; }
  P* operator->() const noexcept { return policy_; }

 private:
  template <class H, class Q>
  friend struct ServerParts;

  std::shared_ptr<AnyPolicy> any_;
  P* policy_ = nullptr;
};

}  // namespace net
