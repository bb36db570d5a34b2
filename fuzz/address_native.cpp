// Addresses from the bytes of a sockaddr, as the kernel or a program passes them.

#include <optional>
#include <span>
#include <string>
#include <system_error>

#include "fuzz.hpp"

import net.socket;

namespace {

std::optional<net::Address> from(std::span<const std::byte> bytes) {
  try {
    return net::Address::from_native(bytes);
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto address = from(bytes);
  if (!address) return 0;
  require(from(address->native()) == address, "what is taken once is taken again, as it is");
  for (const char letter : address->to_string()) {
    require(letter >= ' ' && letter <= '~', "what cannot be printed is escaped");
  }
  switch (address->family()) {
    case net::Family::ipv4:
    case net::Family::ipv6: {
      // The text has only the host and the port, so only these are compared.
      const net::Address again(address->host(), address->port());
      require(again.host() == address->host() && again.port() == address->port(), "a host");
      require(again.is_wildcard() == address->is_wildcard(), "a wildcard");
      break;
    }
    case net::Family::unix_domain: {
      const std::string path = address->path();
      const std::string name = address->abstract_name();
      require(path.empty() || name.empty(), "a path or a name");
      require(address->unnamed() || *address == (path.empty() ? net::Address::unix_abstract(name)
                                                              : net::Address::unix_path(path)),
              "a Unix address of its own text");
      break;
    }
    case net::Family::packet:
      require(address->hardware_address().size() <= 32, "a hardware address");
      address->interface_name();
      address->protocol();
      break;
    case net::Family::unspecified: require(bytes.empty(), "nothing but nothing has no family");
  }
  return 0;
}
