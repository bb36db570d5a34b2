/// \file
/// `net.handler:limits`: how long a connection is waited for.
export module net.handler:limits;

import net.standard;

export namespace net {

/// Bounds the waits of a connection. All on the steady clock. Settable on the server, and for one
/// connection through `RequestContext::set_limits`. Each is 1 ms or more; one of more than a
/// century, such as `milliseconds::max()`, never expires.
struct Limits {
  std::chrono::milliseconds request{20'000};  ///< from a request's first byte until it is whole
  std::chrono::milliseconds idle{60'000};     ///< between requests, or a conversation's silence
  std::chrono::milliseconds send{30'000};     ///< without any progress in sending
  /// How long a call of `Next handle()` may go on writing once a write had to wait: that holds what
  /// runs it.
  std::chrono::milliseconds answer{120'000};
};

/// Throws `std::errc::invalid_argument`, naming the limit and its bounds, if one of the limits is
/// zero or negative. Servers and `RequestContext::set_limits` call it.
void check(const Limits& limits);

}  // namespace net
