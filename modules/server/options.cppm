/// \file
/// `net.server:options`: the settings of a server.
export module net.server:options;

import net.standard;
import net.socket;
import net.handler;

export namespace net {

/// What happens to a new client, or to a request, when every slot is taken. The slots of a server
/// are its connections; those of a policy are its threads or children.
enum class Overload : std::uint8_t {
  /// They wait: clients in the kernel's queue, since the server stops accepting, and requests in
  /// the policy's queue. The default.
  wait,
  /// The client gets the message of `ServerHooks::on_overload`, and its connection is closed.
  reject,
  /// The connection that has waited longest for its client is ended, which frees its slot. A
  /// connection waits for its client while the client is silent between two requests. It also waits
  /// if, for more than half a second, a request has been incomplete, or the client has taken its
  /// answer more slowly than 64 KiB per second. A conversation is ended only for silence. While no
  /// connection waits for its client, this value has the effect of `wait`.
  evict_idle,
};

/// Settings for a server behind a proxy that names the client of each connection: HAProxy's
/// `send-proxy` and `send-proxy-v2`, nginx's `proxy_protocol on`. Each connection must then begin
/// with a header of the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt). The
/// server never guesses whether there is one.
///
/// Hooks and handlers see the client that the header names as `client_address`, and the peer as
/// `proxy_address`. If the header names no client (LOCAL, UNKNOWN), as in health checks of the
/// proxy itself, the peer is the client. The server closes the connection of a peer that is not
/// trusted, is late, or sends anything else. It reports this to `handle_error` with
/// `Phase::proxy_header`, and counts it in `Stats::not_introduced`.
struct ProxyProtocol {
  /// The peers whose headers are believed. A client that may send a header can claim any address.
  /// Must not be empty for TCP. All peers of a Unix socket are trusted, because the permissions of
  /// its file decide who connects.
  Networks trusted = {};
  /// The time within which the whole header must arrive, 1 ms or more.
  std::chrono::milliseconds header_timeout{5'000};
};

/// Limits for each client. A client is an address or a network; with
/// `ServerOptions::proxy_protocol`, the one that the header names. Unix clients have no such
/// limits.
///
/// A new connection beyond a limit gets the message of `ServerHooks::on_overload` and is closed.
/// `Stats::shed_too_many` and `shed_too_fast` count such connections.
struct ClientLimits {
  std::size_t connections = 0;  ///< open at a time; 0 is no limit
  double per_second = 0;        ///< new connections per second on average, up to 1e9; 0: no limit
  double burst = 10;            ///< new connections at once after a pause; from 1 to 1e9
  /// How many leading bits of an address identify the client: at most 32 for IPv4 and 128 for IPv6.
  /// A client with IPv6 usually has a whole /64. An IPv4-mapped IPv6 address counts as IPv4.
  unsigned ipv4_bits = 32;
  unsigned ipv6_bits = 64;  ///< see above
  Networks exempt = {};     ///< clients without limits
  /// How many clients the server remembers at a time, from 1 to 2^26, in about 150 bytes each:
  /// clients with open connections, and clients that connected recently. When the table is full,
  /// all further clients together have the limits of one.
  std::size_t most_clients = 65'536;

  /// Returns whether there is a limit.
  bool any() const noexcept { return connections != 0 || per_second != 0; }
};

/// Settings fixed at construction. Every default is safe for untrusted clients.
///
/// The constructor throws `std::errc::invalid_argument` for a value out of bounds, and for some
/// options that have no effect on this kind of server and could mislead. The text of the error
/// names the option and its bounds, and nothing has been opened then. Times and sizes without a
/// stated upper bound may be as large as their type allows. A time of a century or more never
/// expires.
struct ServerOptions {
  /// The backlog of listen(2): how many connections the kernel completes before the server accepts
  /// them. 0 or less is the system's maximum. This does not limit concurrency. Python:
  /// `request_queue_size`.
  int request_queue_size = 0;

  /// SO_REUSEADDR, for TCP only, because it would let two UDP servers bind the same port. Python:
  /// `allow_reuse_address`.
  bool reuse_address = true;
  /// SO_REUSEPORT, for IPv4 and IPv6. Has no effect on other families. Python: `allow_reuse_port`.
  bool reuse_port = false;
  /// Lets an IPv6 server accept IPv4 clients too. At least one of the addresses must be IPv6.
  /// Python: `dualstack_ipv6`.
  bool dualstack = false;
  bool no_delay = true;  ///< TCP_NODELAY on connections. Python: `disable_nagle_algorithm`.

  /// The permissions of a Unix server's socket file, from 0 to 0777. Without a value, the umask
  /// decides. All addresses must be paths, since an abstract name has no permissions.
  std::optional<unsigned> unix_mode = std::nullopt;

  /// Whether the server removes the files of adopted Unix sockets when it closes, as it removes
  /// those of sockets that it has bound. For sockets that another program hands over
  /// (`net.handover`). The file stays while any program serves the socket.
  bool adopted_files = false;

  /// The most bytes that are received of a datagram, from 1 to 16 MiB. The rest of a larger one is
  /// lost, and `Datagram::truncated` is then true. Python: `max_packet_size`.
  std::size_t max_packet_size = 8192;
  /// Whether frames include their link-layer header: SOCK_RAW, packet(7). For packet servers only.
  bool link_header = false;

  /// Whether the constructor binds and listens. Otherwise you call `server_bind` and
  /// `server_activate`. Python: `bind_and_activate`.
  bool bind_and_activate = true;

  /// How long `handle_request` waits, 0 or more. Without a value it waits forever. Python:
  /// `timeout`.
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;

  /// The most connections that are open at a time. 0 means as many as there are descriptors for:
  /// RLIMIT_NOFILE at construction, less a reserve of one sixteenth, at least 16. Under
  /// `ForkPerRequest`, whose connections need two descriptors each, it means half of that. For a
  /// server of datagrams, the most datagrams that are being served at a time; 0 means 1024.
  std::size_t max_connections = 0;
  Overload overload = Overload::wait;  ///< what happens beyond `max_connections`

  Limits limits;                 ///< for each connection; each 1 ms or more
  ClientLimits per_client = {};  ///< for all connections of a client together

  /// Set if connections come through a proxy that names their clients. For TCP and Unix streams.
  std::optional<ProxyProtocol> proxy_protocol = std::nullopt;

  /// The largest request that the server gathers before it calls the handler, in bytes; 1 or more.
  std::size_t max_request_size = std::size_t{64} * 1024;
  /// How many bytes of an answer are kept for a client that reads slowly, before `write` itself
  /// waits. For handlers with `Next handle()`.
  std::size_t write_buffer = std::size_t{256} * 1024;
  /// How many bytes of incomplete requests and unsent answers all connections together may hold,
  /// except those in children. Beyond this limit, the connections that hold the most are closed:
  /// `Stats::shed_greedy`. 0 means a quarter of the memory that the process may use at
  /// construction: the least of the machine's memory, the limits of the process's control groups
  /// (cgroups(7)), RLIMIT_AS and RLIMIT_DATA.
  std::size_t buffer_memory = 0;

  // Each of these times is 0 or more.
  std::chrono::milliseconds drain{10'000};  ///< how long `server_close` without a deadline may take
  /// While a server drains, a connection that has been silent for this long is closed.
  std::chrono::milliseconds quiet_grace{100};
  /// How long a peer may take to close its side after the server has closed.
  std::chrono::milliseconds linger{2'000};
  /// The most bytes that are read from the peer and discarded during `linger`. If the peer sends
  /// more, the connection is closed.
  std::size_t linger_bytes = std::size_t{1024} * 1024;
};

/// How busy a policy is.
struct PolicyLoad {
  std::size_t waiting = 0;  ///< requests in its queue
  std::size_t workers = 0;  ///< threads or children
  std::size_t busy = 0;     ///< of these, those that run a request
  std::size_t most = 0;     ///< the most threads or children
};

/// How much of a server's limits is in use.
struct Load {
  std::size_t connections = 0;      ///< open connections, or datagrams being served
  std::size_t max_connections = 0;  ///< the limit of `connections`
  std::size_t buffered = 0;         ///< bytes of incomplete requests and unsent answers
  std::size_t max_buffered = 0;     ///< the limit of `buffered`: `ServerOptions::buffer_memory`
  PolicyLoad policy;                ///< the policy's, for all servers that share it
};

/// How the connections ended that were open when `server_close` was called.
struct DrainReport {
  /// Served to their end, failed, timed out, refused or not introduced.
  std::uint64_t drained = 0;
  std::uint64_t closed_idle = 0;  ///< without a request in progress
  std::uint64_t cut = 0;          ///< still busy at the deadline, and ended by the server
  std::uint64_t dropped = 0;      ///< dropped or shed, as `Stats` counts them
  /// Still open when the report was made, because a handler had not returned. If there is none: the
  /// number of threads that the policy could not end.
  std::uint64_t stuck = 0;

  bool operator==(const DrainReport&) const = default;
};

/// Returns the report as "drained 3, closed idle 2, cut 0, dropped 0, stuck 0".
std::string to_string(const DrainReport& report);

}  // namespace net
