/// \file
/// `net.server:hook_calls`, internal: the calls of an application's hooks, and what their
/// exceptions do.
module net.server:hook_calls;

import net.standard;
import net.socket;
import :counters;
import :hooks;

namespace net {

// Calls the hooks. An exception of one is counted and told to `handle_error`; one of that is only
// counted. Only `bind` and `activate` pass it on, to the constructor. From any thread.
class HookCalls {
 public:
  // Without hooks, the defaults of `ServerHooks` are called.
  HookCalls(ServerHooks* hooks, CalledHooks called, std::string_view policy,
            Counters& counters) noexcept
      : given_(hooks), called_(called), policy_(policy), counters_(counters) {}
  HookCalls(const HookCalls&) = delete;
  HookCalls& operator=(const HookCalls&) = delete;

  // Null if there are none, and so nothing has to be called in time.
  ServerHooks* given() const noexcept { return given_; }
  const CalledHooks& called() const noexcept { return called_; }
  // What they are told of the policy.
  std::string_view policy_name() const noexcept { return policy_; }

  void bind(Socket& socket, const Address& address) { hooks().server_bind(socket, address); }
  void activate(Socket& socket, int backlog) { hooks().server_activate(socket, backlog); }

  // What the connection is to end as; none if it stays.
  Outcome verify(Socket& socket, const Address& client) noexcept;
  std::string overload_answer(const Address& client) noexcept;
  std::string last_word(const Address& client, BadRequest why) noexcept;
  void closed(const ClosedConnection& connection) noexcept;
  void requested(const RequestRecord& record) noexcept;
  void service_actions() noexcept;
  void handle_timeout() noexcept;

  void connection_failed(const RequestError& error) noexcept;
  // With the exception that is being handled.
  void policy_failed(const Address& client) noexcept;
  // That no more connections can be accepted for now.
  void accept_failed(const Address& listener, int error) noexcept;
  // Returns the error that the listener died of.
  std::exception_ptr listener_died(const Address& listener, int error) noexcept;

 private:
  ServerHooks& hooks() noexcept { return given_ != nullptr ? *given_ : defaults_; }
  void hook_failed(Phase phase, const Address& address) noexcept;

  ServerHooks defaults_;
  ServerHooks* const given_;
  const CalledHooks called_;
  const std::string_view policy_;
  Counters& counters_;
};

}  // namespace net
