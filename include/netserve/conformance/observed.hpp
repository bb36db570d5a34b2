// A part of <netserve/policy_conformance.hpp>: the policy, wrapped so that its calls and their
// results are recorded.
#pragma once

namespace net::conformance {

/// What the suite needs to know about a policy. Every member is optional.
template <class P>
struct PolicySetup {
  using Options = typename P::Options;

  /// Returns the options for nearly all tests; by default `Options{}`.
  std::function<Options()> options = [] { return Options{}; };
  /// Returns options with which the policy runs one conversation at a time, not on the serving
  /// thread, and the next conversation waits. The suite tests the policy's queue with them. If this
  /// is empty, it skips those tests.
  std::function<Options()> one_place = {};
  /// Return options with which the policy also runs one conversation at a time, but rejects further
  /// requests, or evicts silent conversations: see `net::Overload`.
  std::function<Options()> rejecting = {};
  std::function<Options()> evicting = {};
  /// Whether several servers may share one policy object: `net::SharedPolicy`.
  bool shareable = true;
  /// Whether the policy owns the threads that run requests, so that they end with `drain`. False
  /// for a policy that runs on the program's own executor.
  bool own_threads = true;
};

template <class P>
class Observed {
 public:
  struct Options {
    typename P::Options options = {};
    Record* record = nullptr;
  };
  Observed(Options given, net::PolicyContext& context)
      : record_(given.record), policy_(std::move(given.options), context) {}

  void start()
    requires requires(P& policy) { policy.start(); }
  {
    policy_.start();
  }
  void process(net::Request request) {
    if (record_->drained) ++record_->processed_after_drain;
    policy_.process(std::move(request));
  }
  void expire()
    requires requires(P& policy) { policy.expire(); }
  {
    policy_.expire();
  }
  net::PolicyLoad load()
    requires requires(P& policy) {
      { policy.load() } -> std::same_as<net::PolicyLoad>;
    }
  {
    return policy_.load();
  }
  net::DrainReport drain(net::Deadline deadline) {
    const Noting noting(*record_, deadline);
    const net::DrainReport report = policy_.drain(deadline);
    record_->stuck = report.stuck;
    return report;
  }

 private:
  struct Noting {
    Noting(Record& to, net::Deadline until) : record(to), deadline(until) {}
    Noting(const Noting&) = delete;
    Noting& operator=(const Noting&) = delete;
    ~Noting() {
      record.running_at_drain = record.running.load();
      record.drained = true;
      if (!deadline.passed()) return;
      const auto late = Clock::now() - deadline.point();
      record.beyond_deadline = std::chrono::duration_cast<milliseconds>(late).count();
    }
    Record& record;
    net::Deadline deadline;
  };

  Record* record_;
  P policy_;
};

// Makes a server with the handlers of subject.hpp. `Policy` is the type of the argument for the
// policy in the server's constructor: the policy's options, or a shared policy.
template <class P, class Policy>
std::unique_ptr<net::BaseServer> make_server(const Plan& plan, const Policy& policy,
                                             net::ServerHooks& hooks) {
  const auto of = [&]<class H>(std::type_identity<H>) -> std::unique_ptr<net::BaseServer> {
    return std::make_unique<net::TcpServer<H, Observed<P>>>(
        plan.address, plan.options, policy, hooks, [&script = plan.script] { return H(script); });
  };
  switch (plan.form) {
    case Form::lines: return of(std::type_identity<Lines>());
    case Form::some: return of(std::type_identity<Some>());
    case Form::conversation: return of(std::type_identity<Conversation>());
    case Form::bare: return of(std::type_identity<BareSome>());
    case Form::bare_conversation: return of(std::type_identity<BareConversation>());
    case Form::datagrams: break;
  }
  return std::make_unique<net::UdpServer<Packet, Observed<P>>>(
      plan.address, plan.options, policy, hooks,
      [&script = plan.script] { return Packet(script); });
}

template <class P>
class GroupOf final : public Group {
 public:
  explicit GroupOf(typename Observed<P>::Options options) : policy_(std::move(options)) {}
  std::unique_ptr<net::BaseServer> server(const Plan& plan, net::ServerHooks& hooks) override {
    return make_server<P>(plan, policy_, hooks);
  }

 private:
  net::SharedPolicy<Observed<P>> policy_;
};

template <class P>
class SubjectOf final : public Subject {
  static_assert(net::ExecutionPolicy<P>,
                "a policy has a type Options, a constructor (Options, net::PolicyContext&), "
                "process(net::Request) and net::DrainReport drain(net::Deadline)");

 public:
  SubjectOf(std::string policy, PolicySetup<P> setup) : setup_(std::move(setup)) {
    name = std::move(policy);
    starts = requires(P& of) { of.start(); };
    expires = requires(P& of) { of.expire(); };
    loads = requires(P& of) { of.load(); };
    has_one = static_cast<bool>(setup_.one_place);
    has_rejecting = static_cast<bool>(setup_.rejecting);
    has_evicting = static_cast<bool>(setup_.evicting);
    shareable = setup_.shareable;
    own_threads = setup_.own_threads;
  }

  std::unique_ptr<net::BaseServer> server(const Plan& plan,
                                          net::ServerHooks& hooks) const override {
    const typename Observed<P>::Options options{options_of(plan.places), &plan.script.record};
    return make_server<P>(plan, options, hooks);
  }
  std::unique_ptr<Group> group(Record& record) const override {
    return std::make_unique<GroupOf<P>>(
        typename Observed<P>::Options{options_of(Places::any), &record});
  }

 private:
  typename P::Options options_of(Places places) const {
    switch (places) {
      case Places::one: return setup_.one_place();
      case Places::one_rejecting: return setup_.rejecting();
      case Places::one_evicting: return setup_.evicting();
      case Places::any: break;
    }
    return setup_.options();
  }

  PolicySetup<P> setup_;
};

}  // namespace net::conformance
