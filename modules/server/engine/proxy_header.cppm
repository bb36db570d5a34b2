/// \file
/// `net.server:proxy_header`, internal: the header by which a proxy tells who its client is.
///
/// The PROXY protocol, versions 1 (a line of text) and 2 (binary):
/// haproxy.org/download/2.9/doc/proxy-protocol.txt.
module net.server:proxy_header;

import net.standard;
import net.socket;

namespace net {

// What the first bytes of a connection are.
struct ProxyHeader {
  enum class State : std::uint8_t { partial, whole, wrong };
  State state = State::partial;
  // If it is whole: how many of the bytes it takes.
  std::size_t size = 0;
  // If it is whole: who the client is. Unspecified if the proxy does not tell, or speaks for itself
  // (UNKNOWN, LOCAL, what is no stream): then the client is the peer itself.
  Address client = {};
  // If it is wrong: why, for the operator of the proxy.
  const char* fault = "";
};

// The largest that is taken, as version 2 allows 64 KiB of what we skip.
inline constexpr std::size_t largest_proxy_header = 4096;

// A header that is partial takes all the bytes that there are. From any thread.
ProxyHeader read_proxy_header(std::span<const std::byte> received);

}  // namespace net
