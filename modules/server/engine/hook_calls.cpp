module;

#include <exception>
#include <string>
#include <system_error>

module net.server;

import net.socket;
import :hook_calls;

namespace net {

Outcome HookCalls::verify(Socket& socket, const Address& client) noexcept {
  if (given_ == nullptr) return Outcome::none;
  try {
    return given_->verify_request(socket, client) ? Outcome::none : Outcome::refused;
  } catch (...) {
    hook_failed(Phase::verify_request, client);
    return Outcome::failed;
  }
}

std::string HookCalls::overload_answer(const Address& client) noexcept {
  try {
    return hooks().on_overload(client);
  } catch (...) {
    hook_failed(Phase::on_overload, client);
    return {};
  }
}

std::string HookCalls::last_word(const Address& client, BadRequest why) noexcept {
  if (given_ == nullptr) return {};
  try {
    return given_->on_bad_request(client, why);
  } catch (...) {
    hook_failed(Phase::on_bad_request, client);
    return {};
  }
}

void HookCalls::closed(const ClosedConnection& connection) noexcept {
  if (given_ == nullptr) return;
  try {
    given_->on_close(connection);
  } catch (...) {
    hook_failed(Phase::on_close, connection.client_address);
  }
}

void HookCalls::requested(const RequestRecord& record) noexcept {
  if (given_ == nullptr) return;
  try {
    given_->on_request(record);
  } catch (...) {
    hook_failed(Phase::on_request, record.client_address);
  }
}

void HookCalls::service_actions() noexcept {
  if (given_ == nullptr) return;
  try {
    given_->service_actions();
  } catch (...) {
    hook_failed(Phase::service_actions, {});
  }
}

void HookCalls::handle_timeout() noexcept {
  try {
    hooks().handle_timeout();
  } catch (...) {
    hook_failed(Phase::handle_timeout, {});
  }
}

void HookCalls::connection_failed(const RequestError& error) noexcept {
  try {
    hooks().handle_error(error);
  } catch (...) {
    counters_.hook_error();
  }
}

void HookCalls::policy_failed(const Address& client) noexcept {
  counters_.policy_error();
  connection_failed({Phase::process, std::current_exception(), client});
}

void HookCalls::accept_failed(const Address& listener, int error) noexcept {
  try {
    hooks().report(
        {Event::Kind::accept_error, "cannot accept on " + listener.to_string() +
                                        " for now: " + std::system_category().message(error)});
  } catch (...) {
    counters_.hook_error();
  }
}

std::exception_ptr HookCalls::listener_died(const Address& listener, int error) noexcept {
  std::exception_ptr cause;
  try {
    cause = std::make_exception_ptr(
        std::system_error(error, std::system_category(), "accept on " + listener.to_string()));
    hooks().handle_listener_error(listener, cause);
  } catch (...) {
    if (!cause) cause = std::current_exception();
    hook_failed(Phase::handle_listener_error, listener);
  }
  return cause;
}

void HookCalls::hook_failed(Phase phase, const Address& address) noexcept {
  counters_.hook_error();
  connection_failed({phase, std::current_exception(), address});
}

}  // namespace net
