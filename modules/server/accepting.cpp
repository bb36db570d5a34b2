module;

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :core;

// How a connection comes in: the accepting of net.server:core.

namespace net {

void ServerCore::accept_from(Listener& listener) noexcept {
  const std::size_t accepted = listener.accept(std::min<std::size_t>(events_left_, 64));
  if (events_left_ != SIZE_MAX) events_left_ -= accepted;
  if (listener.paused()) paused_.store(true);
}

void ServerCore::welcome(int descriptor, std::span<const std::byte> peer,
                         const Listener& listener) noexcept {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  std::unique_ptr<Connection> made;
  try {
    made = std::make_unique<Connection>(*this, Socket::adopt_unchecked(descriptor),
                                        Address::from_native(peer), listener.address());
  } catch (const std::exception&) {
    count(Outcome::dropped);  // no memory for it; its socket has closed it
    return;
  }
  Connection& connection = *made.release();
  {
    const std::lock_guard lock(registry.mutex);
    registry.add(connection);
  }
  if (hooks_ != nullptr) {
    try {
      if (!hooks_->verify_request(connection.socket(), connection.client_address())) {
        connection.end(Outcome::refused);
        return;
      }
    } catch (...) {
      tell_hook_error(Phase::verify_request, connection.client_address());
      connection.end(Outcome::failed);
      return;
    }
  }
  if (maker->conversation()) {
    hand_over(connection);
    return;
  }
  bool entered = true;
  {
    // Under the lock nobody can end it between its parking and its registration: what happens to
    // it then happens to the connection that this still is.
    const std::lock_guard lock(registry.mutex);
    connection.become_parked();
    try {
      policy->context().parking_lot().enter(connection);
    } catch (const std::exception&) {
      entered = !connection.claim();
    }
  }
  if (!entered) connection.end(Outcome::dropped);
}

void ServerCore::accept_failed(const Listener& listener, int error) noexcept {
  accept_errors_.fetch_add(1, std::memory_order_relaxed);
  if (Listener::verdict(error) != Listener::Verdict::exhausted) return;
  try {
    hooks().report(
        {Event::Kind::accept_error, "cannot accept on " + listener.address().to_string() +
                                        " for now: " + std::system_category().message(error)});
  } catch (...) {
    page.counters.hook_errors.fetch_add(1, std::memory_order_relaxed);
  }
}

void ServerCore::listener_died(Listener& listener, int error) noexcept {
  accept_errors_.fetch_add(1, std::memory_order_relaxed);
  try {
    last_listener_error_ = std::make_exception_ptr(std::system_error(
        error, std::system_category(), "accept on " + listener.address().to_string()));
    hooks().handle_listener_error(listener.address(), last_listener_error_);
  } catch (...) {
    tell_hook_error(Phase::handle_listener_error, listener.address());
  }
  listener.close();
}

void ServerCore::resume_listeners(CoarseTime now) noexcept {
  if (!paused_.load(std::memory_order_relaxed)) return;
  bool paused = false;
  const bool room = room_made_.exchange(false, std::memory_order_relaxed);
  for (const auto& listener : listeners_) {
    if (listener->paused() && (room || listener->paused_until() <= now)) listener->resume();
    paused = paused || listener->paused();
  }
  paused_.store(paused);
}

}  // namespace net
