/// \file
/// `net.server:dispatcher`, internal: how connections come to the policy, and to their ends.
module net.server:dispatcher;

import net.standard;
import net.socket;
import net.handler;
import :client_table;
import :connection;
import :policy;
import :proxy_gate;
import :service;

namespace net {

// Hands connections that have something to do to the policy. On the serving thread, except where it
// says otherwise.
class Dispatcher final : private ProxyGate::Beyond {
 public:
  Dispatcher(Service& service, std::shared_ptr<AnyPolicy> policy);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Has the policy start what it needs in this process. Throws what that throws.
  void start_policy() { policy_->start_here(); }
  AnyPolicy& policy() const noexcept { return *policy_; }
  const std::shared_ptr<AnyPolicy>& shared_policy() const noexcept { return policy_; }
  // In a process that was forked since.
  void leave_policy() noexcept { policy_.reset(); }

  // Admits a new connection, once its client is known, and parks it or hands it over.
  void welcome(Connection& connection) noexcept;
  // Whether it is served: within the limits of its client, and verified; if not, it is gone. From
  // wherever connections are accepted.
  bool admit(Connection& connection) noexcept;
  // Whether new connections can be admitted by any thread.
  bool admits_anywhere() const noexcept;
  // Ends the new connections that have not named their client in time.
  void end_unknown(CoarseTime now) noexcept { gate_.sweep(now); }
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
  void introduced(Connection& connection) noexcept override;
  bool start_policy_for_drain() noexcept;
  void hand_over(Connection& connection) noexcept;

  Service& service_;
  std::shared_ptr<AnyPolicy> policy_;
  ProxyGate gate_;
  ClientTable clients_;
  std::size_t events_left_ = 0;
  bool draining_ = false;
  Deadline drain_deadline_ = Deadline::never();
  bool policy_drained_ = false;
};

}  // namespace net
