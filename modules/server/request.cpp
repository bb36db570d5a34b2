module;

#include <algorithm>
#include <cstddef>
#include <gsl/assert>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;

namespace net {

void Request::drop() noexcept { release()->drop(); }

void Request::run() {
  Expects(connection_ != nullptr);
  release()->run();
}

Next Request::step() {
  Expects(connection_ != nullptr);
  const Next next = connection_->step();
  if (next == Next::close) release();
  return next;
}

bool Request::ready() const noexcept { return connection_ != nullptr && connection_->ready(); }

void Request::park() {
  Expects(connection_ != nullptr);
  if (try_park()) return;
  connection_->service().lot.push(std::move(*this));
}

bool Request::try_park() {
  Expects(connection_ != nullptr);
  if (!connection_->try_park()) return false;
  release();
  return true;
}

void Request::reject() {
  Expects(connection_ != nullptr);
  release()->reject();
}

bool Request::evict_idle() noexcept {
  Expects(connection_ != nullptr);
  if (connection_->datagram() != nullptr) return false;  // no connection can be evicted for it
  connection_->queue_place().want_place();
  return connection_->service().evict_for_waiting();
}

int Request::fileno() const noexcept {
  Expects(connection_ != nullptr);
  return connection_->socket().fileno();
}

const Address& Request::peer() const noexcept {
  Expects(connection_ != nullptr);
  return connection_->client_address();
}

bool Request::conversation() const noexcept {
  Expects(connection_ != nullptr);
  return connection_->conversation();
}

Deadline Request::deadline() const noexcept {
  Expects(connection_ != nullptr);
  return connection_->conversation() ? deadline_at(connection_->queue_place().limit())
                                     : Deadline::never();
}

void Request::cut() noexcept {
  Expects(connection_ != nullptr);
  const std::lock_guard lock(connection_->service().registry.mutex);
  connection_->cut();
}

RequestQueue::~RequestQueue() {
  while (!empty()) pop();
}

void RequestQueue::push(Request request) noexcept {
  Expects(request);
  Connection* const added = RequestAccess::release(request);
  added->next_queued = nullptr;
  (last_ != nullptr ? last_->next_queued : first_) = added;
  last_ = added;
  ++size_;
}

void RequestQueue::push_front(Request request) noexcept {
  Expects(request);
  Connection* const added = RequestAccess::release(request);
  added->next_queued = std::exchange(first_, added);
  if (last_ == nullptr) last_ = added;
  ++size_;
}

void RequestQueue::append(RequestQueue& other) noexcept {
  if (other.empty()) return;
  (last_ != nullptr ? last_->next_queued : first_) = other.first_;
  last_ = std::exchange(other.last_, nullptr);
  other.first_ = nullptr;
  size_ += std::exchange(other.size_, 0);
}

std::size_t RequestQueue::take_overdue(RequestQueue& overdue) noexcept {
  const CoarseTime now = coarse_now();
  std::size_t conversations = 0;
  for (std::size_t left = size_; left > 0; --left) {
    Request request = pop();
    if (!RequestAccess::connection(request).is_overdue(now)) {
      push(std::move(request));
      continue;
    }
    if (request.conversation()) ++conversations;
    overdue.push(std::move(request));
  }
  return conversations;
}

Request RequestQueue::pop() noexcept {
  Expects(!empty());
  Connection* const taken = std::exchange(first_, first_->next_queued);
  if (first_ == nullptr) last_ = nullptr;
  --size_;
  return RequestAccess::of(*taken);
}

}  // namespace net
