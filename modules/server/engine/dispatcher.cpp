module;

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :dispatcher;

namespace net {

Dispatcher::Dispatcher(Service& service, std::shared_ptr<AnyPolicy> policy)
    : service_(service),
      policy_(std::move(policy)),
      gate_(service, *this),
      clients_(service.options.per_client) {}

void Dispatcher::welcome(Connection& connection) noexcept {
  if (service_.options.overload == Overload::reject && service_.slots.overfull()) {
    connection.reject();
  } else if (gate_.required()) {
    gate_.enter(connection);
  } else {
    introduced(connection);
  }
}

bool Dispatcher::admits_anywhere() const noexcept {
  const HookCalls& hooks = service_.hooks;
  // Only the serving thread reads PROXY headers, and calls `verify_request` and, for a client
  // beyond its limits, `on_overload`.
  return !gate_.required() && !hooks.called().verify_request &&
         (!clients_.metered() || hooks.given() == nullptr);
}

bool Dispatcher::admit(Connection& connection) noexcept {
  if (clients_.metered()) {
    using Verdict = ClientTable::Verdict;
    const Verdict verdict = clients_.admit(connection.client_address(), connection.client_place());
    if (verdict != Verdict::admitted) {
      connection.reject(verdict == Verdict::too_many ? Outcome::too_many : Outcome::too_fast);
      return false;
    }
  }
  return connection.verify();
}

void Dispatcher::introduced(Connection& connection) noexcept {
  if (!admit(connection)) return;
  if (draining_ && !start_policy_for_drain()) {
    connection.end(Outcome::dropped);
    return;
  }
  if (connection.datagram() != nullptr) {
    hand_over(connection);
    return;
  }
  if (connection.conversation()) {
    // A conversation that runs in the draining thread can be cut by no other thread, so it gets the
    // deadline.
    connection.socket().set_deadline(drain_deadline_);
    hand_over(connection);
    return;
  }
  // Once the connection is registered with epoll, another thread may own it or have ended it. Until
  // then this thread owns it, since this is the thread that ends parked connections at their
  // limits.
  connection.become_parked();
  try {
    service_.lot.enter(connection);
  } catch (const std::exception&) {
    if (connection.claim()) connection.end_unwatched();
  }
}

bool Dispatcher::start_policy_for_drain() noexcept {
  try {
    start_policy();
    return true;
  } catch (...) {
    service_.hooks.policy_failed({});
    return false;
  }
}

void Dispatcher::serve_from_lot() {
  std::array<Request, 64> ready;
  const auto room = std::span(ready).first(std::min(ready.size(), events_left_));
  const std::size_t count = service_.lot.wait(room, Deadline::Clock::time_point::min());
  spend_events(count);
  for (Request& request : room.first(count)) serve(*RequestAccess::release(request));
}

void Dispatcher::serve_policy() noexcept {
  try {
    policy_->context().dispatch();
  } catch (...) {
    service_.hooks.policy_failed({});
  }
}

void Dispatcher::expire_queue() noexcept {
  try {
    policy_->expire();
  } catch (...) {
    service_.hooks.policy_failed({});
  }
}

void Dispatcher::serve(Connection& connection) noexcept {
  switch (connection.prepare()) {
    case Connection::Prepared::handler: hand_over(connection); break;
    case Connection::Prepared::later: RequestAccess::of(connection).park(); break;
    case Connection::Prepared::over: break;
  }
}

void Dispatcher::hand_over(Connection& connection) noexcept {
  if (policy_drained_) {
    // The policy has ended, but a handler of this connection was stuck until now. The connection
    // can only end, so this thread runs it.
    Request request = RequestAccess::of(connection);
    while (request && request.step() == Next::keep) {
    }
    return;
  }
  const Address peer = connection.client_address();
  // No other thread would end the input of a connection that runs in the draining thread.
  if (draining_ && connection.datagram() == nullptr) {
    connection.silence().end_input_after(service_.options.quiet_grace);
  }
  if (connection.conversation() || (connection.datagram() != nullptr && service_.polls_lot())) {
    connection.enter_queue();
  }
  try {
    policy_->process(RequestAccess::of(connection));
  } catch (...) {
    service_.hooks.policy_failed(peer);
  }
}

// Outside the registry's lock, because handlers and hooks may run here, and a connection needs the
// lock to end.
void Dispatcher::end_all(Connection* taken) noexcept {
  while (taken != nullptr) {
    Connection& connection = *std::exchange(taken, std::exchange(taken->next_retired, nullptr));
    serve(connection);
  }
}

void Dispatcher::begin_drain(Deadline deadline) noexcept {
  events_left_ = unlimited;
  draining_ = true;
  drain_deadline_ = deadline;
}

std::uint64_t Dispatcher::drain_policy(Deadline deadline) noexcept {
  if (policy_.use_count() != 1) return 0;
  policy_drained_ = true;
  try {
    return policy_->drain(deadline).stuck;
  } catch (...) {
    service_.hooks.policy_failed({});
    return 0;
  }
}

}  // namespace net
