/// \file
/// `net.socket:connecting`: names to addresses, and addresses to listening or connected sockets.
module;

#include <cstdint>
#include <string_view>
#include <vector>

export module net.socket:connecting;

import :address;
import :deadline;
import :socket;

export namespace net {

/// What `resolve` looks for.
struct ResolveOptions {
  Family family = Family::unspecified;  ///< both IPv4 and IPv6
  bool passive = false;                 ///< for binding: an empty host is the wildcard address
};

/// Looks a host name up; each address once, in the resolver's order, never none. Blocks: name
/// look-up has no deadline. getaddrinfo(3); an IPv6 literal may stand in brackets.
/// Throws errors of `resolver_category`. Python: `getaddrinfo`.
std::vector<Address> resolve(std::string_view host, std::uint16_t port,
                             const ResolveOptions& options = {});

/// How `create_server` binds.
struct ListenOptions {
  int backlog = 0;          ///< 0: the system's maximum
  bool reuse_port = false;  ///< let the kernel spread connections over several listeners
  bool dualstack = false;   ///< an IPv6 listener takes IPv4 clients as well
};

/// Returns a TCP socket that listens on `address`, with SO_REUSEADDR. Errors as `Socket::bind`;
/// their text names the address. Python: `create_server`.
Socket create_server(const Address& address, const ListenOptions& options = {});

/// Returns a TCP socket connected to `address` within `deadline`.
Socket create_connection(const Address& address, Deadline deadline = Deadline::never());

/// Returns a TCP socket connected to `host`: tries its addresses in order, the deadline running
/// over all of them, and throws the last one's error if none answers. Python: `create_connection`.
Socket create_connection(std::string_view host, std::uint16_t port,
                         Deadline deadline = Deadline::never());

}  // namespace net
