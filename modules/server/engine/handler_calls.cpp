module;

#include <chrono>
#include <exception>
#include <gsl/util>
#include <memory>
#include <new>
#include <utility>

module net.server;

import net.handler;
import :handler_calls;
import :request_log;
import :service;

namespace net {

Outcome HandlerCalls::verify() noexcept {
  if (phase_ != Phase::verify_request) return Outcome::none;
  phase_ = Phase::receive;
  return service_.hooks.verify(context_.stream().socket(), context_.client_address());
}

void HandlerCalls::make(CoarseTime since) {
  if (since != 0) limit_receives(since);
  phase_ = Phase::make;
  handler_.reset(service_.maker->make(context_));
  phase_ = Phase::setup;
  handler_->setup();
}

// `first`: this is the first call for the request, not one after `Next::more`.
Next HandlerCalls::call_noted(bool first) {
  using Clock = std::chrono::steady_clock;
  // The time is counted even if the handler throws.
  const auto counted = gsl::finally([this, first, begin = Clock::now()] {
    if (first && service_.counters.times_requests()) service_.counters.took(Clock::now() - begin);
  });
  if (log_ == nullptr) return call();
  log_->begin(context_.stream());
  const Next decision = call();
  log_->handled(context_, decision == Next::more);
  return decision;
}

void HandlerCalls::note_requests() noexcept {
  // Without memory for the log, the requests of this connection are not reported.
  if (service_.hooks.called().on_request) log_.reset(new (std::nothrow) RequestLog);
}

void HandlerCalls::tell_answered() noexcept { log_->answered(service_.hooks, context_); }

void HandlerCalls::tell_over(Outcome outcome) noexcept {
  log_->over(service_.hooks, context_, outcome);
}

bool HandlerCalls::finish() noexcept {
  context_.stream().set_hold(BufferedStream::Hold::none);
  const std::unique_ptr<BoundHandler> handler = std::move(handler_);
  if (!handler) return true;
  phase_ = Phase::finish;
  try {
    handler->finish();
    return true;
  } catch (...) {
    service_.counters.handler_error();
    service_.hooks.connection_failed(error(std::current_exception()));
    return false;
  }
}

void HandlerCalls::abandon() noexcept {
  if (phase_ == Phase::setup) {
    forget();
  } else {
    finish();
  }
}

RequestError HandlerCalls::error(std::exception_ptr exception) const {
  return {phase_, std::move(exception), context_.client_address()};
}

}  // namespace net
