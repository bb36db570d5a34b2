/// \file
/// `net.server:proxy_header`, internal: the header in which a proxy names its client.
///
/// The PROXY protocol, versions 1 (a line of text) and 2 (binary):
/// haproxy.org/download/2.9/doc/proxy-protocol.txt.
module net.server:proxy_header;

import net.standard;
import net.socket;

namespace net {

// The result of parsing the first bytes of a connection.
struct ProxyHeader {
  enum class State : std::uint8_t { partial, whole, wrong };
  State state = State::partial;
  // The size of a whole header, in bytes.
  std::size_t size = 0;
  // The client that a whole header names. It is unspecified if the proxy names none (UNKNOWN, or
  // not a stream) or speaks for itself (LOCAL). The peer itself is the client then.
  Address client = {};
  // Why a header is wrong, for the operator of the proxy.
  const char* fault = "";
};

// The size of the largest header that is accepted. Version 2 allows 64 KiB, most of it fields that
// are not used here.
inline constexpr std::size_t largest_proxy_header = 4096;

// Parses the header at the front of `received`. All bytes belong to the header if it is partial.
// May be called from any thread.
ProxyHeader read_proxy_header(std::span<const std::byte> received);

}  // namespace net
