/// \file
/// `net.server:proxy_header`, internal: the header in which a proxy names its client.
///
/// The PROXY protocol, versions 1 (a line of text) and 2 (binary):
/// haproxy.org/download/2.9/doc/proxy-protocol.txt.
module net.server:proxy_header;

import net.standard;
import net.socket;

namespace net {

// What was read from the first bytes of a connection.
struct ProxyHeader {
  enum class State : std::uint8_t { partial, whole, wrong };
  State state = State::partial;
  // If it is whole: the number of bytes that the header takes.
  std::size_t size = 0;
  // If it is whole: the client's address. Unspecified if the proxy names no client or speaks for
  // itself (UNKNOWN, LOCAL, a transport that is no stream). Then the peer itself is the client.
  Address client = {};
  // If it is wrong: the reason, for the operator of the proxy.
  const char* fault = "";
};

// The largest header that is accepted, in bytes. Version 2 allows 64 KiB, for fields that this
// server does not use.
inline constexpr std::size_t largest_proxy_header = 4096;

// Reads the header at the front of `received`. If it is partial, all the bytes belong to it. May be
// called from any thread.
ProxyHeader read_proxy_header(std::span<const std::byte> received);

}  // namespace net
