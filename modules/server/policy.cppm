/// \file
/// `net.server:policy`: the interface between a server and the class that runs its requests.
///
/// A policy is a class that is constructed from its options and a context, and then receives
/// requests. The smallest policy runs each request at once, on the serving thread:
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
/// docs/policies.md goes from there to pools, and states the rules that a policy must follow;
/// `<netserve/policy_conformance.hpp>` tests them.
export module net.server:policy;

import net.standard;
import net.socket;
import :options;
import :parking_lot;
import :request;

export namespace net {

/// The services of the library for a policy. The context lives as long as the policy does.
class PolicyContext {
 public:
  PolicyContext(const PolicyContext&) = delete;
  PolicyContext& operator=(const PolicyContext&) = delete;

  /// Calls `ready` on the serving thread whenever `descriptor` is readable, until `unwatch`. Call
  /// `watch` on the serving thread, or in the policy's constructor.
  void watch(int descriptor, std::function<void()> ready);
  /// Ends a watch: `ready` is not called any more. Call it where `watch` may be called.
  void unwatch(int descriptor) noexcept;

  /// Takes the parking lot over: from now on the policy calls `ParkingLot::wait`, and `process`
  /// receives only conversations and requests that the server itself must end. Call this in the
  /// policy's constructor.
  ParkingLot& take_parking_lot();

  /// Declares how many descriptors each request opens beside its connection's, so that the default
  /// of `ServerOptions::max_connections` leaves enough free. Call this in the policy's constructor.
  void each_opens(std::size_t descriptors) noexcept;

 protected:
  PolicyContext();
  ~PolicyContext();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net

namespace net {

// The part for the library only.
class OwnPolicyContext final : public PolicyContext {
 public:
  std::size_t descriptors_each() const noexcept;
  // Null if the policy has not taken it.
  OwnParkingLot* parking_lot() const noexcept;
  int fileno() const noexcept;
  void dispatch();
  // Whether the context was made, or renewed, in this process.
  bool ours() const noexcept;
  // For a process that was forked since: closes, or makes again, what is shared with the parent.
  void close() noexcept;
  void close_watched() noexcept;
  void renew();
};

}  // namespace net

export namespace net {

/// The requirements for a class that runs requests.
///
/// The serving thread (of each server that shares the policy) calls `process` with requests that
/// can go on: a conversation just accepted, or a connection whose next request has arrived. It
/// should return soon. If it throws, the connection is dropped and the exception is counted.
///
/// `drain` is called once, when the server has no connection left or the deadline has expired. The
/// policy ends its threads, and returns how many of them are stuck.
///
/// A policy may have a member `void start()`. It is called once in each process in which a server
/// of the policy serves, on the serving thread, before the first request. Start threads there
/// rather than in the constructor: then a server may be constructed before a fork (daemon(3)) and
/// serve after it. `serve_forever` and `handle_request` throw what `start` throws; they may be
/// called again.
///
/// A policy with a queue may have a member `void expire()`. It is called on a serving thread when
/// requests have waited for longer than their limit, and should call `RequestQueue::take_overdue`.
/// Without it, such requests end when they are taken from the queue.
///
/// A policy may have a member `PolicyLoad load()`, which tells `BaseServer::load` how busy the
/// policy is. It is called from any thread, once the policy has started.
template <class P>
concept ExecutionPolicy = requires(P& policy, Request request, Deadline deadline,
                                   typename P::Options options, PolicyContext& context) {
  // Not std::constructible_from, which takes ten times as long to compile.
  P(std::move(options), context);
  policy.process(std::move(request));
  { policy.drain(deadline) } -> std::same_as<DrainReport>;
};

}  // namespace net

namespace net {

// A policy with its context, as the server calls it.
class AnyPolicy {
 public:
  AnyPolicy();
  AnyPolicy(const AnyPolicy&) = delete;
  AnyPolicy& operator=(const AnyPolicy&) = delete;
  virtual ~AnyPolicy();

  virtual void process(Request request) = 0;
  virtual DrainReport drain(Deadline deadline) = 0;
  // Ends the requests that have waited in the policy's queue for too long. A policy that has not
  // started in this process has no queue yet.
  void expire();

  // The name of its type, for logs.
  virtual std::string_view name() const noexcept = 0;

  // How busy the policy is, if it has a `load` and has started in this process. From any thread.
  PolicyLoad load();

  // Makes the policy ready to run requests in this process. Call it before `process`; more calls
  // are harmless.
  void start_here();

  OwnPolicyContext& context() noexcept { return context_; }
  // Whether it may be destroyed in this process: its threads, if it has any, run in this process.
  bool ours() const noexcept;

 protected:
  virtual void start() = 0;
  virtual bool can_start() const noexcept = 0;
  virtual PolicyLoad load_now() = 0;
  virtual void expire_now() = 0;

 private:
  bool started_here() const noexcept;

  OwnPolicyContext context_;
  const unsigned made_in_;  // the process that made it
  std::atomic<unsigned> started_in_{0};
};

// Takes ownership of a policy. In a process that was forked after the policy was made or started,
// it is not destroyed: its threads do not exist there.
// Not a template: a std::shared_ptr for each policy is slow to compile.
std::shared_ptr<AnyPolicy> owned(AnyPolicy* policy);

// The name of a type as it is written in code, without its module.
template <class T>
constexpr std::string_view name_of_type() noexcept {
  constexpr std::string_view here = std::source_location::current().function_name();
  constexpr std::string_view before = "T = ";
  std::string_view name = here.substr(here.find(before) + before.size());
  // GCC puts the types that the name depends on into the same brackets.
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

/// One policy object for several servers. Copies share it; the last copy to be destroyed destroys
/// it.
///
///     net::SharedPolicy<net::ThreadPool> pool{{.workers = 4}};
///     net::TcpServer<Echo> one{address, pool};
///     net::TcpServer<Time> two{other, pool};
template <class P>
class SharedPolicy {
 public:
  using Options = typename P::Options;
  /// Constructs the policy. Throws what its constructor throws.
  explicit SharedPolicy(Options options = {}) {
    auto* const binding = new PolicyBinding<P>(std::move(options));
    any_ = owned(binding);
    policy_ = &binding->policy();
  }

  /// Starts the policy now (its member `start`, if it has one), rather than when the first of its
  /// servers begins to serve. Meant for a program that wants to report readiness only if the start
  /// succeeds. Throws what `start` throws. After a fork, the servers start the policy again by
  /// themselves.
  void start() { any_->start_here(); }

  /// Return the policy itself.
  P& operator*() const noexcept { return *policy_; }
  P* operator->() const noexcept { return policy_; }

 private:
  template <class H, class Q>
  friend struct ServerParts;

  std::shared_ptr<AnyPolicy> any_;
  P* policy_ = nullptr;
};

}  // namespace net
