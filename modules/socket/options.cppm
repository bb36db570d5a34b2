/// \file
/// `net.socket:options`: the options and credentials of a socket.
export module net.socket:options;

import net.standard;

export namespace net {

/// The options that `Socket::setsockopt` knows by name. Flags are 0 or 1. Set any other option by
/// the numbers in the headers of the system; for SO_LINGER there is `Socket::set_linger`.
enum class SocketOption : std::uint8_t {
  reuse_address,     ///< SO_REUSEADDR, socket(7): bind while old connections are in TIME_WAIT
  reuse_port,        ///< SO_REUSEPORT, socket(7): several sockets on one port, load-balanced
  keep_alive,        ///< SO_KEEPALIVE, socket(7): probe whether the peer still answers
  keep_idle,         ///< TCP_KEEPIDLE, tcp(7): seconds of silence until the first probe
  keep_interval,     ///< TCP_KEEPINTVL, tcp(7): seconds between probes
  keep_count,        ///< TCP_KEEPCNT, tcp(7): unanswered probes until the connection fails
  receive_buffer,    ///< SO_RCVBUF, socket(7), bytes; the kernel doubles it
  send_buffer,       ///< SO_SNDBUF, socket(7), bytes; the kernel doubles it
  broadcast,         ///< SO_BROADCAST, socket(7): allow broadcast datagrams
  pass_credentials,  ///< SO_PASSCRED, unix(7): sender credentials with each message (`Ancillary`)
  incoming_cpu,      ///< SO_INCOMING_CPU, socket(7): the processor that receives the packets
  no_delay,          ///< TCP_NODELAY, tcp(7): send at once, do not wait for more data
  cork,              ///< TCP_CORK, tcp(7): wait for more data, until the option is cleared
  quick_ack,         ///< TCP_QUICKACK, tcp(7): acknowledge at once, for now
  user_timeout,      ///< TCP_USER_TIMEOUT, tcp(7): milliseconds that data may stay unacknowledged
  defer_accept,      ///< TCP_DEFER_ACCEPT, tcp(7): seconds to wait for data before accepting
  ipv6_only,         ///< IPV6_V6ONLY, ipv6(7): no IPv4 clients on an IPv6 listener
};

/// The process at the other end of a Unix socket, as the kernel recorded it when that process
/// called connect(2), listen(2) or socketpair(2). unix(7), SO_PEERCRED.
struct PeerCredentials {
  int process = 0;     ///< the process ID; 0 if it is outside this process's PID namespace
  unsigned user = 0;   ///< the effective user
  unsigned group = 0;  ///< the effective group

  bool operator==(const PeerCredentials&) const noexcept = default;
};

}  // namespace net
