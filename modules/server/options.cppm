/// \file
/// `net.server:options`: the settings of a server.
export module net.server:options;

import net.standard;
import net.socket;
import net.handler;

export namespace net {

/// What happens to a new client when every slot is taken: a server's connections, a policy's
/// threads or children.
enum class Overload : std::uint8_t {
  /// New clients wait: connections in the kernel's queue (the server stops accepting), requests in
  /// the policy's queue. The default.
  wait,
  /// New clients get the message of `ServerHooks::on_overload`, and are closed.
  reject,
  /// The connection that has kept its slot waiting for longest is evicted: because it is silent
  /// between requests; or, for more than half a second, because its request is incomplete or
  /// because it reads the answer slower than 64 KiB a second. A conversation is evicted for silence
  /// alone. If no connection keeps its slot waiting, this is the same as `wait`.
  evict_idle,
};

/// Settings for connections through a proxy that names its clients: HAProxy's `send-proxy` and
/// `send-proxy-v2`, nginx's `proxy_protocol on`. Each connection must then begin with a header of
/// the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt); the server does not guess.
///
/// The client that the header names becomes `client_address`, in hooks and in handlers, and the
/// peer becomes `proxy_address`. If a header names no client (LOCAL, UNKNOWN), as in the proxy's
/// own checks, the peer stays the client. A peer that is not trusted, is late, or sends anything
/// else is closed and reported to `handle_error` with `Phase::proxy_header`:
/// `Stats::not_introduced`.
struct ProxyProtocol {
  /// The peers whose headers are believed: a client that may send a header can claim any address.
  /// Must not be empty for TCP. On Unix sockets all peers are trusted: the permissions of the file
  /// decide.
  Networks trusted = {};
  /// The time limit for the whole header, 1 ms or more.
  std::chrono::milliseconds header_timeout{5'000};
};

/// Limits on what one client may use of a server. A client is an address, or a network. With
/// `ServerOptions::proxy_protocol`, it is the address in the header. Unix clients are not limited.
///
/// A client beyond a limit gets the message of `ServerHooks::on_overload`, and is closed:
/// `Stats::shed_too_many` and `shed_too_fast`.
struct ClientLimits {
  std::size_t connections = 0;  ///< how many it may have at a time; 0 is no limit
  double per_second = 0;        ///< how many it may open a second, in the long run; 0 is no limit
  double burst = 10;            ///< how many it may open at once after a silence; 1 or more
  /// How many leading bits of an address identify the client, up to 32 for IPv4 and 128 for IPv6. A
  /// client with an IPv6 address usually has a whole /64. An IPv4 address within IPv6 counts as
  /// IPv4.
  unsigned ipv4_bits = 32;
  unsigned ipv6_bits = 64;  ///< see above
  Networks exempt = {};     ///< networks that are not limited
  /// How many clients are remembered at a time, 1 or more, at some 150 bytes each: those with
  /// connections, and those that were connected recently. Beyond this number, the other clients
  /// share one set of limits, as if they were one client.
  std::size_t most_clients = 65'536;

  /// Returns whether any limit is set.
  bool any() const noexcept { return connections != 0 || per_second != 0; }
};

/// Settings fixed at construction. Every default is safe for untrusted clients.
///
/// The constructor refuses values that are out of bounds, and settings that have no meaning for the
/// kind of server and could mislead. It then throws `std::errc::invalid_argument` with a text that
/// names the option and its bounds, before it opens anything. Times and sizes without an upper
/// bound may be as large as their type allows; a time of more than a century never expires.
struct ServerOptions {
  /// The backlog of listen(2): how many connections the kernel completes before the server accepts
  /// them. 0 or less is the system's maximum. This does not limit concurrency. Python:
  /// `request_queue_size`.
  int request_queue_size = 0;

  /// SO_REUSEADDR, for TCP only: for UDP, it would let two servers share one port. Python:
  /// `allow_reuse_address`.
  bool reuse_address = true;
  /// SO_REUSEPORT, for IPv4 and IPv6; no effect on other families. Python: `allow_reuse_port`.
  bool reuse_port = false;
  /// Makes an IPv6 server accept IPv4 clients too. One of the addresses must be IPv6. Python:
  /// `dualstack_ipv6`.
  bool dualstack = false;
  bool no_delay = true;  ///< TCP_NODELAY on connections. Python: `disable_nagle_algorithm`.

  /// The permissions of a Unix server's file, from 0 to 0777; without a value, the umask decides.
  /// All addresses must be paths: a name without a file has no permissions.
  std::optional<unsigned> unix_mode = std::nullopt;

  /// Whether the server, when it closes, removes the files of adopted Unix sockets, as it does for
  /// sockets that it has bound. Meant for sockets that another program hands over, `net.handover`.
  /// While any program serves the socket, its file stays.
  bool adopted_files = false;

  /// The largest part of a datagram that is received, in bytes, from 1 to 16 MiB. The rest of a
  /// larger datagram is lost, and `Datagram::truncated` returns true. Python: `max_packet_size`.
  std::size_t max_packet_size = 8192;
  /// Whether frames include their link-layer header, packet(7): SOCK_RAW. For packet servers only.
  bool link_header = false;

  /// Whether the constructor binds and listens; otherwise you call `server_bind` and
  /// `server_activate`. Python: `bind_and_activate`.
  bool bind_and_activate = true;

  /// How long `handle_request` waits, 0 or more; without a value, for ever. Python: `timeout`.
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;

  /// How many connections may be open at a time. 0 is what the process may open (RLIMIT_NOFILE at
  /// construction), less a reserve of a sixteenth, at least 16. For a datagram server, how many
  /// datagrams may be in progress; 0 is 1024.
  std::size_t max_connections = 0;
  Overload overload = Overload::wait;  ///< what happens to connections beyond them

  Limits limits;                 ///< for each connection; each 1 ms or more
  ClientLimits per_client = {};  ///< for all connections of one client

  /// Set if connections come through a proxy that names their clients. For TCP and Unix streams.
  std::optional<ProxyProtocol> proxy_protocol = std::nullopt;

  /// The largest request that is received before a handler is called, in bytes; 1 or more.
  std::size_t max_request_size = std::size_t{64} * 1024;
  /// How much of an answer is buffered for a slow client, in bytes, before `write` itself waits.
  /// Applies to handlers that are called once for each request.
  std::size_t write_buffer = std::size_t{256} * 1024;
  /// How many bytes all connections together, except those in children, may use for incomplete
  /// requests and unsent answers. Beyond it, the connections that use most are closed:
  /// `Stats::shed_greedy`. 0 is a quarter of the memory that the process may use when the server is
  /// constructed: that of the machine, its control groups' (cgroups(7)), or RLIMIT_AS and
  /// RLIMIT_DATA.
  std::size_t buffer_memory = 0;

  // Each 0 or more.
  std::chrono::milliseconds drain{10'000};     ///< the limit of `server_close` without a deadline
  std::chrono::milliseconds quiet_grace{100};  ///< while draining, closes after such a silence
  std::chrono::milliseconds linger{2'000};     ///< how long to wait for a peer to close after us
  /// How many bytes from such a peer are read and discarded meanwhile.
  std::size_t linger_bytes = std::size_t{1024} * 1024;
};

/// How busy a policy is.
struct PolicyLoad {
  std::size_t waiting = 0;  ///< requests in its queue
  std::size_t workers = 0;  ///< threads or children that it has
  std::size_t busy = 0;     ///< workers that are running requests
  std::size_t most = 0;     ///< how many workers it may have
};

/// How much of a server's limits is in use.
struct Load {
  std::size_t connections = 0;      ///< open connections, or datagrams in progress
  std::size_t max_connections = 0;  ///< how many there may be
  std::size_t buffered = 0;         ///< bytes of incomplete requests and unsent answers
  std::size_t max_buffered = 0;     ///< how many there may be: `ServerOptions::buffer_memory`
  PolicyLoad policy;                ///< of all servers that share it
};

/// The outcome of the connections that were open when the server was closed.
struct DrainReport {
  std::uint64_t drained = 0;      ///< served to their end
  std::uint64_t closed_idle = 0;  ///< no request was in progress
  std::uint64_t cut = 0;          ///< still busy at the deadline, and ended by us
  std::uint64_t dropped = 0;      ///< never served
  std::uint64_t stuck = 0;        ///< handlers that had not returned when the report was made

  bool operator==(const DrainReport&) const = default;
};

/// Returns it as "drained 3, closed idle 2, cut 0, dropped 0, stuck 0".
std::string to_string(const DrainReport& report);

}  // namespace net
