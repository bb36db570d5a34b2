/// \file
/// `net.socket:options`: what can be set on a socket, and asked of it.
export module net.socket:options;

import net.standard;

export namespace net {

/// Names the options that `Socket::setsockopt` knows without level and number. Flags are 0 or 1.
/// All others are set by the numbers of the system's headers. `Socket::set_linger` is SO_LINGER.
enum class SocketOption : std::uint8_t {
  reuse_address,     ///< SO_REUSEADDR, socket(7): bind while old connections are in TIME_WAIT
  reuse_port,        ///< SO_REUSEPORT, socket(7): several sockets on one port, spread by the kernel
  keep_alive,        ///< SO_KEEPALIVE, socket(7): find out whether the peer still answers
  keep_idle,         ///< TCP_KEEPIDLE, tcp(7): seconds of silence until the first probe
  keep_interval,     ///< TCP_KEEPINTVL, tcp(7): seconds from probe to probe
  keep_count,        ///< TCP_KEEPCNT, tcp(7): probes without answer until the connection fails
  receive_buffer,    ///< SO_RCVBUF, socket(7), bytes; the kernel doubles it
  send_buffer,       ///< SO_SNDBUF, socket(7), bytes; the kernel doubles it
  broadcast,         ///< SO_BROADCAST, socket(7): datagrams may go to everybody
  pass_credentials,  ///< SO_PASSCRED, unix(7): who sent, with each message (`Ancillary`)
  incoming_cpu,      ///< SO_INCOMING_CPU, socket(7): which processor the packets come to
  no_delay,          ///< TCP_NODELAY, tcp(7): do not wait for more to send
  cork,              ///< TCP_CORK, tcp(7): wait for more to send, until cleared
  quick_ack,         ///< TCP_QUICKACK, tcp(7): acknowledge at once, for now
  user_timeout,      ///< TCP_USER_TIMEOUT, tcp(7), milliseconds
  defer_accept,      ///< TCP_DEFER_ACCEPT, tcp(7), seconds
  ipv6_only,         ///< IPV6_V6ONLY, ipv6(7): no IPv4 clients on an IPv6 listener
};

/// Tells who made the other end of a Unix socket, as the kernel saw it then. unix(7), SO_PEERCRED.
struct PeerCredentials {
  int process = 0;     ///< its number; 0 if this process cannot see it
  unsigned user = 0;   ///< the effective user
  unsigned group = 0;  ///< the effective group

  bool operator==(const PeerCredentials&) const noexcept = default;
};

}  // namespace net
