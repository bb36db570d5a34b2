/// \file
/// `net.server:hook_checks`: refuses functions of hooks that the server would not call.
export module net.server:hook_checks;

import net.standard;
import net.socket;
import :hooks;

namespace net {

// A pointer to a hook of the class H.
template <class H, class R, class... Args>
using Hook = R (H::*)(Args...);

// Checks that a class has each hook as `ServerHooks` declares it. A function of the same name that
// takes or returns something else, written without `override`, hides the hook, and nothing calls
// it. (A private function cannot be seen here; it is an override, or the compiler warns.)
template <class H>
struct HookChecks {
  static_assert(
      !requires { &H::server_bind; } ||
          requires { static_cast<Hook<H, void, Socket&, const Address&>>(&H::server_bind); },
      "server_bind must be `void server_bind(net::Socket&, const net::Address&)`, as in "
      "net::ServerHooks");
  static_assert(
      !requires { &H::server_activate; } ||
          requires { static_cast<Hook<H, void, Socket&, int>>(&H::server_activate); },
      "server_activate must be `void server_activate(net::Socket&, int)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::verify_request; } ||
          requires {
            static_cast<Hook<H, bool, const Socket&, const Address&>>(&H::verify_request);
          },
      "verify_request must be `bool verify_request(const net::Socket&, const net::Address&)`, as "
      "in net::ServerHooks");
  static_assert(
      !requires { &H::on_overload; } ||
          requires { static_cast<Hook<H, std::string, const Address&>>(&H::on_overload); },
      "on_overload must be `std::string on_overload(const net::Address&)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::on_bad_request; } ||
          requires {
            static_cast<Hook<H, std::string, const Address&, BadRequest>>(&H::on_bad_request);
          },
      "on_bad_request must be `std::string on_bad_request(const net::Address&, net::BadRequest)`, "
      "as in net::ServerHooks");
  static_assert(
      !requires { &H::on_close; } ||
          requires { static_cast<Hook<H, void, const ClosedConnection&>>(&H::on_close); },
      "on_close must be `void on_close(const net::ClosedConnection&)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::on_request; } ||
          requires { static_cast<Hook<H, void, const RequestRecord&>>(&H::on_request); },
      "on_request must be `void on_request(const net::RequestRecord&)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::service_actions; } ||
          requires { static_cast<Hook<H, void>>(&H::service_actions); },
      "service_actions must be `void service_actions()`, as in net::ServerHooks");
  static_assert(
      !requires { &H::handle_timeout; } ||
          requires { static_cast<Hook<H, void>>(&H::handle_timeout); },
      "handle_timeout must be `void handle_timeout()`, as in net::ServerHooks");
  static_assert(
      !requires { &H::handle_listener_error; } ||
          requires {
            static_cast<Hook<H, void, const Address&, std::exception_ptr>>(
                &H::handle_listener_error);
          },
      "handle_listener_error must be `void handle_listener_error(const net::Address&, "
      "std::exception_ptr)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::handle_error; } ||
          requires { static_cast<Hook<H, void, const RequestError&>>(&H::handle_error); },
      "handle_error must be `void handle_error(const net::RequestError&)`, as in net::ServerHooks");
  static_assert(
      !requires { &H::report; } ||
          requires { static_cast<Hook<H, void, const Event&>>(&H::report); },
      "report must be `void report(const net::Event&)`, as in net::ServerHooks");
  static constexpr bool passed = true;
};

}  // namespace net
