/// \file
/// `net.handler:stats`: the counters of a server.
export module net.handler:stats;

import net.standard;

export namespace net {

/// A snapshot of the counters of a server. They are always on, and exact when the server is idle.
/// After `server_close`, each accepted connection (for datagrams, each datagram) has ended in
/// exactly one way:
/// accepted = served + closed_idle + shed + timed_out + failed + cut + dropped + refused +
/// not_introduced.
struct Stats {
  // Connections, by state.
  std::uint64_t accepted = 0;   ///< accepted from the kernel, in total
  std::uint64_t active = 0;     ///< now in a handler, or about to be
  std::uint64_t waiting = 0;    ///< now a conversation or datagram in the policy's queue
  std::uint64_t parked = 0;     ///< now waiting for the client, without a thread
  std::uint64_t lingering = 0;  ///< now closed by the server, until the peer closes as well

  // Connections, by how they ended.
  std::uint64_t served = 0;       ///< by the peer's end of stream, or by the handler
  std::uint64_t closed_idle = 0;  ///< between requests, by the idle limit or a drain; or before
                                  ///< the first byte of a PROXY header
  std::uint64_t shed = 0;         ///< by overload: the sum of the reasons below
  std::uint64_t timed_out = 0;    ///< by a limit or a deadline, but not between requests
  std::uint64_t failed = 0;       ///< an exception, a reset within a request, a crashed child
  std::uint64_t cut = 0;          ///< by the end of the drain
  std::uint64_t dropped = 0;      ///< for lack of memory, a thread or a child, or by the policy
  std::uint64_t refused = 0;      ///< by `verify_request`
  /// By a PROXY header that was invalid or late, or came from an untrusted peer.
  std::uint64_t not_introduced = 0;

  // Shed connections, by reason.
  std::uint64_t shed_waiting = 0;   ///< unserved for longer than the request limit
  std::uint64_t shed_rejected = 0;  ///< all slots were taken: `Overload::reject`
  std::uint64_t shed_evicted = 0;   ///< the slot was needed: `Overload::evict_idle`
  std::uint64_t shed_greedy = 0;    ///< held the most of `ServerOptions::buffer_memory`
  std::uint64_t shed_too_many = 0;  ///< its client had `ClientLimits::connections` already
  std::uint64_t shed_too_fast = 0;  ///< its client opens more than `ClientLimits::per_second`

  std::uint64_t requests = 0;  ///< calls of `handle`, except those after `Next::more`
  std::uint64_t drained = 0;   ///< connections served to their end during `server_close`

  // Datagrams.
  std::uint64_t replies = 0;          ///< sent by handlers
  std::uint64_t replies_dropped = 0;  ///< not sent: no recipient, or no buffer space
  std::uint64_t datagrams_lost = 0;   ///< by the kernel, because its buffer was full

  // Errors, by kind.
  std::uint64_t handler_errors = 0;  ///< exceptions of setup, handle, finish and factories, except
                                     ///< those in `peer_gone` and `time_outs`; and requests that
                                     ///< are malformed or too large
  std::uint64_t hook_errors = 0;     ///< exceptions of hooks
  std::uint64_t peer_gone = 0;       ///< connections that the peer reset
  std::uint64_t time_outs = 0;       ///< limits and deadlines that expired, except between requests
  std::uint64_t accept_errors = 0;   ///< failed calls of accept(2), except if no client had come
  std::uint64_t policy_errors = 0;   ///< exceptions of `process`: no thread, no child

  /// Adds the counters of another server.
  Stats& operator+=(const Stats& other) noexcept;

  /// Returns the number of ended connections; equals `accepted` once the server is closed.
  std::uint64_t ended() const noexcept {
    return served + closed_idle + shed + timed_out + failed + cut + dropped + refused +
           not_introduced;
  }
};

/// Returns all members in one line, as `accepted=12 active=1 ...`: for programs that read logs.
std::string to_string(const Stats& stats);

/// Returns the members that are not zero as a table for people, one member in each line. With an
/// earlier snapshot, `before`, and the time `between` the two snapshots, the table also shows by
/// how much each counter grew per second.
///
///     requests    12345   617.3/s
///     peer_gone       2     0.1/s
std::string to_table(const Stats& stats);
std::string to_table(const Stats& stats, const Stats& before,
                     std::chrono::duration<double> between);

/// A snapshot of the durations of `handle`. Of each request, only the first call is measured.
struct RequestTimes {
  /// The upper bounds of all buckets but the last, in seconds.
  static constexpr std::array<double, 19> bounds{
      0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
      0.025,   0.05,     0.1,     0.25,   0.5,     1,      2.5,   5,      10};

  std::array<std::uint64_t, bounds.size() + 1> counts{};  ///< calls in each bucket
  double sum = 0;                                         ///< of all durations, in seconds

  /// Adds the measurements of another server.
  RequestTimes& operator+=(const RequestTimes& other) noexcept;
};

}  // namespace net
