module;

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

module net.server;

import net.handler;
import :hook_calls;
import :request_log;

namespace net {

RequestLog::RequestLog() noexcept : accepted_(Clock::now()) {}

RequestLog::~RequestLog() = default;

void RequestLog::received(std::size_t bytes) noexcept {
  if (bytes == 0) return;
  received_ += bytes;
  last_arrival_ = Clock::now();
  if (current_.first_byte == Time{}) current_.first_byte = last_arrival_;
}

// A datagram may be empty, so `received` would not note its time.
void RequestLog::received_datagram(std::size_t bytes) noexcept {
  received_ += bytes;
  current_.first_byte = accepted_;
}

void RequestLog::replied(std::size_t bytes) noexcept {
  sent_ += bytes;
  if (!complete_.empty()) complete_.back().written_to = sent_;
}

void RequestLog::begin(const BufferedStream& stream) noexcept {
  current_.handled = {};
  if (current_.begun != Time{}) return;  // the rest of a request
  current_.begun = Clock::now();
  current_.written_from = written(stream);
}

void RequestLog::handled(const RequestContext& context, bool goes_on) {
  current_.handled = Clock::now();
  current_.written_to = written(context.stream());
  // What the handler of a datagram does not read still belongs to that datagram.
  if (!goes_on) complete(context.datagram() != nullptr ? 0 : context.stream().input().size());
}

// Unread bytes belong to the next request, which has begun to arrive then.
void RequestLog::complete(std::uint64_t unread) {
  const std::uint64_t consumed = received_ - std::min(unread, received_);
  current_.received = consumed - std::min(consumed, consumed_);
  consumed_ = consumed;
  written_ = current_.written_to;
  complete_.push_back(current_);
  current_ = {};
  if (unread != 0) current_.first_byte = last_arrival_;
}

void RequestLog::answered(HookCalls& hooks, const RequestContext& context) noexcept {
  if (!complete_.empty()) tell(hooks, context, Outcome::none);
}

void RequestLog::over(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept {
  const bool was_called = current_.begun != Time{};
  // After these outcomes, bytes that followed the last request are no request: no handler looked at
  // them.
  const bool unwanted = outcome == Outcome::served || outcome == Outcome::closed_idle;
  try {
    if (was_called && current_.handled == Time{}) {
      current_.cut_off = true;  // the handler threw
      handled(context, false);
    } else if (was_called) {
      current_.cut_off = true;  // the handler was to be called again
      complete(context.stream().input().size());
    } else if (current_.first_byte != Time{} && !unwanted) {
      current_.cut_off = true;
      current_.written_from = written_;
      current_.written_to = written(context.stream());
      complete(0);
    } else if (!complete_.empty()) {
      complete_.back().written_to = written(context.stream());  // `finish` may have written, too
    }
  } catch (const std::bad_alloc&) {
    // Then this request is not reported.
  }
  if (!complete_.empty()) tell(hooks, context, outcome);
}

void RequestLog::tell(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept {
  const bool over = outcome != Outcome::none;
  const Time now = Clock::now();
  for (const Noted& noted : complete_) {
    const bool whole = !noted.cut_off && sent_ >= noted.written_to;
    const bool last = &noted == &complete_.back();
    // A handler of the bare socket is also called at the end of the stream: that is not a request.
    if (over && noted.first_byte == Time{} && noted.written_to == noted.written_from) continue;
    hooks.requested({.client_address = context.client_address(),
                     .proxy_address = context.proxy_address(),
                     .server_address = context.server_address(),
                     .policy = hooks.policy_name(),
                     .number = ++told_,
                     .outcome = !over || (whole && !last) ? Outcome::served : outcome,
                     .accepted = accepted_,
                     .first_byte = noted.first_byte,
                     .begun = noted.begun,
                     .handled = noted.handled,
                     .sent = whole ? now : Time{},
                     .bytes_received = noted.received,
                     .bytes_sent = std::clamp(sent_, noted.written_from, noted.written_to) -
                                   noted.written_from});
  }
  complete_.clear();
  // Do not keep the memory of a burst of pipelined requests.
  if (complete_.capacity() > 2) complete_ = {};
}

}  // namespace net
