// Headers of the PROXY protocol. The bytes after a complete header must not change the result, and
// no prefix of a complete header is complete. An invalid header is invalid whatever follows.

module;

#include <algorithm>
#include <span>

#include "fuzz.hpp"

module net.server:proxy_header_fuzz;

import net.socket;
import :proxy_header;

namespace {

using State = net::ProxyHeader::State;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto all = std::as_bytes(std::span(data, size));
  const net::ProxyHeader found = net::read_proxy_header(all);
  if (found.state == State::whole) {
    require(found.size <= size && found.size <= net::largest_proxy_header, "its size is bounded");
    require(net::read_proxy_header(all.first(found.size)).client == found.client,
            "what follows does not matter");
  }
  if (found.state == State::partial) {
    require(size < net::largest_proxy_header, "what is never whole is wrong");
  }
  // Once the result is known, more bytes must not change it.
  bool known = false;
  const std::size_t most = std::min(size, std::size_t{300});
  for (std::size_t count = 0; count <= most; ++count) {
    const net::ProxyHeader before = net::read_proxy_header(all.first(count));
    if (before.state == State::partial) {
      require(!known, "what is known stays known");
      continue;
    }
    known = true;
    require(before.state == found.state && before.size == found.size, "and stays the same");
  }
  return 0;
}
