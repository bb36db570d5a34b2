/// \file
/// `net.server:dispatcher`, internal: hands connections to the policy, and ends them.
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

// Hands the connections that are ready to the policy. To be used on the serving thread, except
// where a function says otherwise.
class Dispatcher final : private ProxyGate::Beyond {
 public:
  Dispatcher(Service& service, std::shared_ptr<AnyPolicy> policy);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Makes the policy start what it needs in this process. Passes its exceptions on.
  void start_policy() { policy_->start_here(); }
  AnyPolicy& policy() const noexcept { return *policy_; }
  const std::shared_ptr<AnyPolicy>& shared_policy() const noexcept { return policy_; }
  // In a process that was forked after the server was made: drops the policy.
  void leave_policy() noexcept { policy_.reset(); }

  // Admits a new connection once its client is known, then parks it or hands it over.
  void welcome(Connection& connection) noexcept;
  // Checks the limits of the client, and calls `verify_request`. If this returns false, the
  // connection has ended. From any thread that accepts connections.
  bool admit(Connection& connection) noexcept;
  // Returns whether threads other than the serving thread may admit new connections.
  bool admits_anywhere() const noexcept;
  // Ends the new connections whose PROXY header did not arrive in time.
  void end_unknown(CoarseTime now) noexcept { gate_.sweep(now); }
  // Serves the connections that are ready in the parking lot, if this server polls its own.
  void serve_from_lot();
  // Lets the policy handle the descriptors that it watches, because one is ready.
  void serve_policy() noexcept;
  // Makes the policy end the connections that have waited for too long.
  void expire_queue() noexcept;
  // Serves a connection that is ready: by the policy, if a handler is needed.
  void serve(Connection& connection) noexcept;
  // Serves the connections that the reaper took. Each ends with the outcome that the reaper has
  // marked it with, unless the event that it waits for has happened meanwhile.
  void end_all(Connection* taken) noexcept;

  // The number of events that may still be served in this turn.
  std::size_t events_left() const noexcept { return events_left_; }
  void set_events_left(std::size_t count) noexcept { events_left_ = count; }
  void spend_events(std::size_t count) noexcept {
    if (events_left_ != unlimited) events_left_ -= count;
  }
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  // From here on, the thread that closes the server is the serving thread.
  void begin_drain(Deadline deadline) noexcept;
  bool goes_on_accepting() const noexcept {
    return draining_ ? !drain_deadline_.passed() : !service_.stop_asked();
  }
  // Ends the policy once the connections have ended, unless another server uses it. Returns how
  // many of its threads are stuck.
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
