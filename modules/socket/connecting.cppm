/// \file
/// `net.socket:connecting`: turns names into addresses, and addresses into listening or connected
/// sockets.
export module net.socket:connecting;

import net.standard;
import :address;
import :deadline;
import :socket;

export namespace net {

/// The options of `resolve`.
struct ResolveOptions {
  Family family = Family::unspecified;   ///< unspecified: both IPv4 and IPv6
  bool passive = false;                  ///< for binding: an empty host is the wildcard address
  SocketType type = SocketType::stream;  ///< the type of socket that the addresses are for
};

/// Looks up a host name. Returns at least one address, each once, in the resolver's order. The call
/// blocks, and has no deadline. getaddrinfo(3); an IPv6 literal may be in brackets.
/// Throws errors of `resolver_category`, the error of a failed system call, and `invalid_argument`
/// for a name that contains a NUL. Python: `getaddrinfo`.
std::vector<Address> resolve(std::string_view host, std::uint16_t port,
                             const ResolveOptions& options = {});

/// The options of `create_server`. Only the backlog applies to a Unix address.
struct ListenOptions {
  int backlog = 0;          ///< 0: the system's maximum
  bool reuse_port = false;  ///< let the kernel spread connections over several listeners
  bool dualstack = false;   ///< an IPv6 listener accepts IPv4 clients as well; an error with IPv4
};

/// Returns a stream socket that listens on `address`: TCP (with SO_REUSEADDR) or Unix. Throws the
/// errors of `Socket::bind`, and `invalid_argument` for `dualstack` with an IPv4 address; the texts
/// of these errors name the address. The socket file of a Unix address must not exist yet, and it
/// remains after the socket is closed. Python: `create_server`.
Socket create_server(const Address& address, const ListenOptions& options = {});

/// Returns whether this system supports `ListenOptions::dualstack`. Python: `has_dualstack_ipv6`.
bool has_dualstack_ipv6() noexcept;

/// The options of `create_connection`.
struct ConnectOptions {
  std::optional<Address> source;  ///< bind to this first; only addresses of its family are tried
};

/// Returns a TCP or Unix stream socket that is connected to `address` within `deadline`.
Socket create_connection(const Address& address, Deadline deadline = Deadline::never(),
                         const ConnectOptions& options = {});

/// Returns a TCP socket that is connected to `host`. Tries the addresses of the host in order; the
/// deadline covers all attempts together, but not the look-up of the name before them.
/// Throws the errors of `resolve`, `TimeoutError` if the deadline expires, and otherwise a
/// `ConnectError`, which holds the error of each address. Python: `create_connection`.
Socket create_connection(std::string_view host, std::uint16_t port,
                         Deadline deadline = Deadline::never(), const ConnectOptions& options = {});

}  // namespace net
