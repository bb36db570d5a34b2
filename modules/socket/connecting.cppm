/// \file
/// `net.socket:connecting`: names to addresses, and addresses to listening or connected sockets.
export module net.socket:connecting;

import net.standard;
import :address;
import :deadline;
import :socket;

export namespace net {

/// What `resolve` looks for.
struct ResolveOptions {
  Family family = Family::unspecified;   ///< both IPv4 and IPv6
  bool passive = false;                  ///< for binding: an empty host is the wildcard address
  SocketType type = SocketType::stream;  ///< what the addresses are for
};

/// Looks a host name up; each address once, in the resolver's order, never none. Blocks: name
/// look-up has no deadline. getaddrinfo(3); an IPv6 literal may stand in brackets.
/// Throws errors of `resolver_category`. Python: `getaddrinfo`.
std::vector<Address> resolve(std::string_view host, std::uint16_t port,
                             const ResolveOptions& options = {});

/// How `create_server` binds. A Unix address knows the backlog alone.
struct ListenOptions {
  int backlog = 0;          ///< 0: the system's maximum
  bool reuse_port = false;  ///< let the kernel spread connections over several listeners
  bool dualstack = false;   ///< an IPv6 listener takes IPv4 clients as well; refused with IPv4
};

/// Returns a stream socket that listens on `address`: TCP, with SO_REUSEADDR, or Unix. Errors as
/// `Socket::bind`, and `invalid_argument` for `dualstack` with an IPv4 address; their text names
/// the address. The file of a Unix address must not be there yet, and stays there after the socket.
/// Python: `create_server`.
Socket create_server(const Address& address, const ListenOptions& options = {});

/// Returns whether `ListenOptions::dualstack` works here. Python: `has_dualstack_ipv6`.
bool has_dualstack_ipv6() noexcept;

/// How `create_connection` connects.
struct ConnectOptions {
  std::optional<Address> source;  ///< bind to this before; a name's other families are not tried
};

/// Returns a stream socket connected to `address`, TCP or Unix, within `deadline`.
Socket create_connection(const Address& address, Deadline deadline = Deadline::never(),
                         const ConnectOptions& options = {});

/// Returns a TCP socket connected to `host`: tries its addresses in order, the deadline running
/// over all of them. Throws errors of `resolver_category`, `TimeoutError` if the deadline passed,
/// and else a `ConnectError`, which holds the error of each address. Python: `create_connection`.
Socket create_connection(std::string_view host, std::uint16_t port,
                         Deadline deadline = Deadline::never(), const ConnectOptions& options = {});

}  // namespace net
