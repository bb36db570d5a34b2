/// \file
/// `net.handler:limits`: the time limits of a connection.
export module net.handler:limits;

import net.standard;

export namespace net {

/// Bounds on the waits of a connection, on the steady clock. They can be set on the server, and for
/// one connection through `RequestContext::set_limits`. Each is 1 ms or more. A limit of more than
/// a century, such as `milliseconds::max()`, never expires.
struct Limits {
  std::chrono::milliseconds request{20'000};  ///< from a request's first byte until it is complete
  std::chrono::milliseconds idle{60'000};     ///< between requests, or of silence in a conversation
  std::chrono::milliseconds send{30'000};     ///< without any progress in sending
  /// How long a call of `Next handle()` may continue to write after a write had to wait, since it
  /// occupies the thread that runs it.
  std::chrono::milliseconds answer{120'000};
};

/// Throws `std::errc::invalid_argument` if one of the limits is zero or negative. The text of the
/// error names the limit and its bounds. Servers and `RequestContext::set_limits` call this.
void check(const Limits& limits);

}  // namespace net
