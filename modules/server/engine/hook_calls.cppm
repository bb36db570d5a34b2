/// \file
/// `net.server:hook_calls`, internal: calls the hooks of an application, and handles their
/// exceptions.
module net.server:hook_calls;

import net.standard;
import net.socket;
import :counters;
import :hooks;

namespace net {

// Calls the hooks. An exception of a hook is counted and passed to `handle_error`. An exception of
// `handle_error` or `report` is only counted. Only `bind` and `activate` pass exceptions on to
// their caller. May be used from any thread.
class HookCalls {
 public:
  // Without hooks, the defaults of `ServerHooks` are called.
  HookCalls(ServerHooks* hooks, CalledHooks called, std::string_view policy,
            Counters& counters) noexcept
      : given_(hooks), called_(called), policy_(policy), counters_(counters) {}
  HookCalls(const HookCalls&) = delete;
  HookCalls& operator=(const HookCalls&) = delete;

  // Null if the application has no hooks. Then no hook has to be called at intervals.
  ServerHooks* given() const noexcept { return given_; }
  const CalledHooks& called() const noexcept { return called_; }
  // The name of the policy, as reported to the hooks.
  std::string_view policy_name() const noexcept { return policy_; }

  void bind(Socket& socket, const Address& address) { hooks().server_bind(socket, address); }
  void activate(Socket& socket, int backlog) { hooks().server_activate(socket, backlog); }

  // Returns the outcome with which the connection must end, or none if the connection stays.
  Outcome verify(Socket& socket, const Address& client) noexcept;
  std::string overload_answer(const Address& client) noexcept;
  std::string last_word(const Address& client, BadRequest why) noexcept;
  void closed(const ClosedConnection& connection) noexcept;
  void requested(const RequestRecord& record) noexcept;
  void service_actions() noexcept;
  void handle_timeout() noexcept;

  void connection_failed(const RequestError& error) noexcept;
  // Counts and reports the exception that is being handled.
  void policy_failed(const Address& client) noexcept;
  // Reports that the listener can accept no more connections for now.
  void accept_failed(const Address& listener, int error) noexcept;
  // Reports that a listener is dead. Returns its error as an exception.
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
