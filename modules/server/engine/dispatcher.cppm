/// \file
/// `net.server:dispatcher`, internal: how connections come to the policy, and to their ends.
module net.server:dispatcher;

import net.standard;
import net.socket;
import net.handler;
import :connection;
import :policy;
import :service;

namespace net {

// Hands connections that have something to do to the policy. On the serving thread.
class Dispatcher {
 public:
  Dispatcher(Service& service, std::shared_ptr<AnyPolicy> policy) noexcept
      : service_(service), policy_(std::move(policy)) {}
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Has the policy start what it needs in this process. Throws what that throws.
  void start_policy() { policy_->start_here(); }
  AnyPolicy& policy() const noexcept { return *policy_; }
  const std::shared_ptr<AnyPolicy>& shared_policy() const noexcept { return policy_; }
  // In a process that was forked since.
  void leave_policy() noexcept { policy_.reset(); }

  // Verifies a newcomer, and parks it or hands it over.
  void welcome(Connection& connection) noexcept;
  // Serves what the lot has ready, if this server polls its own.
  void serve_from_lot();
  // What the policy watches is ready.
  void serve_policy() noexcept;
  // Has the policy end what waits for too long.
  void expire_queue() noexcept;
  // Serves a connection that is ready: by the policy, if a handler is needed.
  void serve(Connection& connection) noexcept;
  // Ends what the reaper took.
  void end_all(Connection* taken) noexcept;

  // How many events may still be served in this turn.
  std::size_t events_left() const noexcept { return events_left_; }
  void set_events_left(std::size_t count) noexcept { events_left_ = count; }
  void spend_events(std::size_t count) noexcept {
    if (events_left_ != unlimited) events_left_ -= count;
  }
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  // The thread that closes serves from here on.
  void begin_drain(Deadline deadline) noexcept;
  bool goes_on_accepting() const noexcept {
    return draining_ ? !drain_deadline_.passed() : !service_.stop_asked();
  }
  // Ends the policy, if no other server has it, once the connections have ended; returns how many
  // of its threads are stuck.
  std::uint64_t drain_policy(Deadline deadline) noexcept;

 private:
  bool start_policy_for_drain() noexcept;
  void hand_over(Connection& connection) noexcept;

  Service& service_;
  std::shared_ptr<AnyPolicy> policy_;
  std::size_t events_left_ = 0;
  bool draining_ = false;
  Deadline drain_deadline_ = Deadline::never();
  bool policy_drained_ = false;
};

}  // namespace net
