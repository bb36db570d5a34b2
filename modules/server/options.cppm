/// \file
/// `net.server:options`: the numbers of a server.
export module net.server:options;

import net.standard;
import net.socket;
import net.handler;

export namespace net {

/// What happens to a new client when every slot is taken: a server's connections, a policy's
/// threads or children.
enum class Overload : std::uint8_t {
  /// They wait: connections in the kernel's queue (the server stops accepting), requests in the
  /// policy's. The default.
  wait,
  /// They get the answer of `ServerHooks::on_overload`, and are closed.
  reject,
  /// The one that keeps its place waiting for longest goes: by silence between requests; or, for
  /// more than half a second, by a request that is not whole, or by an answer that it takes slower
  /// than 64 KiB a second. A conversation goes for silence alone. If none waits for its client: as
  /// `wait`.
  evict_idle,
};

/// Settings for connections through a proxy that names their client: HAProxy's `send-proxy`
/// and `send-proxy-v2`, nginx's `proxy_protocol on`. Each connection then begins with a header of
/// the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt): required, never guessed.
///
/// The client of the header becomes `client_address`, in hooks as in handlers, and the peer becomes
/// `proxy_address`. A header that names no client (LOCAL, UNKNOWN), as checks of the proxy's own,
/// leaves the peer the client. A peer that is not trusted, is late, or sends anything else is
/// closed and told to `handle_error`, as `Phase::proxy_header`: `Stats::not_introduced`.
struct ProxyProtocol {
  /// Whose headers are believed: a client that could send one could have any address. Not empty,
  /// for TCP. Of Unix sockets, all peers are trusted: the permissions of the file decide.
  Networks trusted = {};
  /// How long the whole header may take, 1 ms or more.
  std::chrono::milliseconds header_timeout{5'000};
};

/// Bounds what one client has of a server: a client is an address, or a network. With
/// `ServerOptions::proxy_protocol`, that of the header. Unix clients are not bounded.
///
/// A client beyond a limit gets the answer of `ServerHooks::on_overload`, and is closed:
/// `Stats::shed_too_many` and `shed_too_fast`.
struct ClientLimits {
  std::size_t connections = 0;  ///< how many it has at once; 0 is no limit
  double per_second = 0;        ///< how many it opens a second, in the long run; 0 is no limit
  double burst = 10;            ///< how many it opens at once after a silence; 1 or more
  /// How many bits of an address name the client, up to 32 of IPv4 and 128 of IPv6. A client
  /// with an IPv6 address has, as a rule, a whole /64. An IPv4 address within IPv6 counts as IPv4.
  unsigned ipv4_bits = 32;
  unsigned ipv6_bits = 64;  ///< see above
  Networks exempt = {};     ///< they are not bounded
  /// How many clients are remembered at once, 1 or more, at some 150 bytes each: those with
  /// connections, and those that were here lately. Beyond them, the others are bounded together, as
  /// if they were one client.
  std::size_t most_clients = 65'536;

  /// Returns whether there is a limit.
  bool any() const noexcept { return connections != 0 || per_second != 0; }
};

/// Settings fixed at construction. Every default is safe for untrusted clients.
///
/// The constructor refuses values out of bounds, and settings that mean nothing for the kind of
/// server but could mislead: it throws `std::errc::invalid_argument` with a text that names the
/// option and its bounds, before anything is opened. Times and sizes without an upper bound may be
/// as large as their type allows; a time of more than a century never expires.
struct ServerOptions {
  /// The backlog of listen(2): how many connections the kernel completes ahead of us. 0 or
  /// less is the system's maximum. No limit of concurrency. Python: `request_queue_size`.
  int request_queue_size = 0;

  /// SO_REUSEADDR, for TCP: of UDP, it would let two servers have one port. Python:
  /// `allow_reuse_address`.
  bool reuse_address = true;
  /// SO_REUSEPORT, of IPv4 and IPv6; no effect on others. Python: `allow_reuse_port`.
  bool reuse_port = false;
  /// An IPv6 server takes IPv4 clients too. One of the addresses must be IPv6. Python:
  /// `dualstack_ipv6`.
  bool dualstack = false;
  bool no_delay = true;  ///< TCP_NODELAY on connections. Python: `disable_nagle_algorithm`.

  /// The permissions of a Unix server's file, from 0 to 0777; nothing leaves them to the umask. All
  /// addresses must be paths: a name without a file has no permissions.
  std::optional<unsigned> unix_mode = std::nullopt;

  /// Whether the files of adopted Unix sockets go when the server closes, as those of sockets that
  /// it has bound: for sockets that another program hands over, `net.handover`. While any program
  /// serves the socket, its file stays.
  bool adopted_files = false;

  /// What is received of a datagram at most, in bytes, from 1 to 16 MiB; of a larger one, the rest
  /// is lost and `Datagram::truncated` says so. Python: `max_packet_size`.
  std::size_t max_packet_size = 8192;
  /// Whether frames have their link-layer header, packet(7): SOCK_RAW. For packet servers alone.
  bool link_header = false;

  /// Binds and listens in the constructor; else `server_bind` and `server_activate` are called by
  /// you. Python: `bind_and_activate`.
  bool bind_and_activate = true;

  /// How long `handle_request` waits, 0 or more; nothing is for ever. Python: `timeout`.
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;

  /// How many connections are open at once. 0 is what the process may open (RLIMIT_NOFILE when the
  /// server is made), less a reserve of a sixteenth, at least 16. Of a server of datagrams, how
  /// many datagrams are in hand; 0 is 1024.
  std::size_t max_connections = 0;
  Overload overload = Overload::wait;  ///< what becomes of those beyond it

  Limits limits;                 ///< of each connection; each 1 ms or more
  ClientLimits per_client = {};  ///< of all connections of a client

  /// Whether connections come through a proxy that tells whose they are. For TCP and Unix streams.
  std::optional<ProxyProtocol> proxy_protocol = std::nullopt;

  /// The largest request that is gathered before a handler is called, in bytes; 1 or more.
  std::size_t max_request_size = std::size_t{64} * 1024;
  /// How much of an answer waits with its connection for a slow reader, in bytes, before `write`
  /// itself waits. For handlers of one request a call.
  std::size_t write_buffer = std::size_t{256} * 1024;
  /// How much memory all connections together, without those in children, may hold of requests that
  /// are not whole and answers that are not taken, in bytes. Beyond it, those that hold most are
  /// closed: `Stats::shed_greedy`. 0 is a quarter of what the process may use: of the machine's
  /// memory, its control groups' (cgroups(7)), or RLIMIT_AS and RLIMIT_DATA, when the server is
  /// made.
  std::size_t buffer_memory = 0;

  // Each 0 or more.
  std::chrono::milliseconds drain{10'000};     ///< the time of `server_close` without a deadline
  std::chrono::milliseconds quiet_grace{100};  ///< a draining connection this silent is closed
  std::chrono::milliseconds linger{2'000};     ///< how long we wait for a peer to close after us
  /// How many bytes of such a peer are read and discarded meanwhile.
  std::size_t linger_bytes = std::size_t{1024} * 1024;
};

/// How busy a policy is.
struct PolicyLoad {
  std::size_t waiting = 0;  ///< requests in its queue
  std::size_t workers = 0;  ///< threads, or children, that it has
  std::size_t busy = 0;     ///< of these, which run requests
  std::size_t most = 0;     ///< how many it may have
};

/// How much of a server's limits is in use.
struct Load {
  std::size_t connections = 0;      ///< open, or datagrams in hand
  std::size_t max_connections = 0;  ///< how many may be
  std::size_t buffered = 0;         ///< bytes that wait for clients
  std::size_t max_buffered = 0;     ///< how many may: `ServerOptions::buffer_memory`
  PolicyLoad policy;                ///< of all servers that share it
};

/// What became of the connections that were open when the server was closed.
struct DrainReport {
  std::uint64_t drained = 0;      ///< served to their end
  std::uint64_t closed_idle = 0;  ///< nothing was asked of us
  std::uint64_t cut = 0;          ///< still busy at the deadline: ended by us
  std::uint64_t dropped = 0;      ///< never served
  std::uint64_t stuck = 0;        ///< handlers that had not returned when the report was made

  bool operator==(const DrainReport&) const = default;
};

/// Returns it as "drained 3, closed idle 2, cut 0, dropped 0, stuck 0".
std::string to_string(const DrainReport& report);

}  // namespace net
