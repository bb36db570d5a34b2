/// \file
/// `net.server:handler_calls`, internal: calls the handler of one connection.
module net.server:handler_calls;

import net.standard;
import net.socket;
import net.handler;
import :handler_binding;
import :hooks;
import :poller;
import :request_log;
import :service;

namespace net {

// Converts a time of the coarse clock to a deadline.
inline Deadline deadline_at(CoarseTime time) noexcept {
  return Deadline::Clock::time_point(std::chrono::nanoseconds(time));
}

// Owns the handler, and makes the calls in the order of Python's `socketserver`: verify, make,
// setup, handle, finish. Records the current phase for error reports. Only the owner of the
// connection may use it.
class HandlerCalls {
 public:
  HandlerCalls(Service& service, RequestContext& context) noexcept
      : service_(service), context_(context) {}
  HandlerCalls(const HandlerCalls&) = delete;
  HandlerCalls& operator=(const HandlerCalls&) = delete;

  inline Service& service() const noexcept { return service_; }
  // Returns the log of requests; null if requests are not logged.
  inline RequestLog* log() const noexcept { return log_.get(); }
  // Logs requests from now on, if `on_request` is overridden.
  void note_requests() noexcept;
  // Stops logging requests, because another process serves them.
  void forget_requests() noexcept { log_.reset(); }
  // Call this when everything that the handler wrote has been sent.
  inline void answered() noexcept {
    if (log_ != nullptr) [[unlikely]] {
      tell_answered();
    }
  }
  void tell_over(Outcome outcome) noexcept;

  // Calls `verify_request`, but only once. Returns the outcome with which the connection must end,
  // or none if the connection stays.
  Outcome verify() noexcept;
  // Returns whether the handler exists.
  inline explicit operator bool() const noexcept { return handler_ != nullptr; }
  // Makes the handler and calls its `setup`, unless the handler exists already. If the client's
  // first request began at `since`, its time limit applies here too; 0: it is a conversation.
  inline void begin(CoarseTime since) {
    if (handler_ == nullptr) [[unlikely]] {
      make(since);
    }
  }
  // Makes errors count as errors of receiving until the next call of the handler begins. They count
  // as such again when that call has returned.
  inline void receive() noexcept { phase_ = Phase::receive; }
  inline Next handle() {
    service_.counters.request();
    if (log_ != nullptr || service_.counters.times_requests()) [[unlikely]] {
      return call_noted(true);
    }
    return call();
  }
  // Handles a request that began at `since`, and applies its time limit to receives.
  [[gnu::always_inline]] inline Next handle(CoarseTime since) {
    limit_receives(since);
    return handle();
  }
  // Calls the handler again for the same request.
  inline Next handle_more(CoarseTime since) {
    limit_receives(since);
    return log_ != nullptr ? call_noted(false) : call();
  }
  // Calls the handler's `finish` and destroys the handler, if there is one. Returns false if
  // `finish` throws.
  bool finish() noexcept;
  // Does the same after an error. A handler whose `setup` failed is destroyed without `finish`.
  void abandon() noexcept;
  inline void forget() noexcept { handler_.reset(); }
  // Returns a report of the exception, with the current phase and the client's address.
  RequestError error(std::exception_ptr exception) const;

 private:
  void make(CoarseTime since);
  inline void limit_receives(CoarseTime since) noexcept {
    Socket& socket = context_.stream().socket();
    socket.set_deadline(Deadline::never());
    socket.set_receive_deadline(
        deadline_at(coarse_after(since, context_.limits().request.count())));
  }
  inline Next call() {
    phase_ = Phase::handle;
    const Next decision = handler_->handle();
    phase_ = Phase::receive;
    return decision;
  }

  Next call_noted(bool first);
  void tell_answered() noexcept;

  Service& service_;
  RequestContext& context_;
  std::unique_ptr<BoundHandler> handler_;
  std::unique_ptr<RequestLog> log_;
  Phase phase_ = Phase::verify_request;
};

}  // namespace net
