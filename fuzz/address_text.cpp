// Addresses from text: the text of an address must give the same address again.

#include <string>
#include <system_error>

#include "fuzz.hpp"

import net.socket;

namespace {

template <class Make>
void make(Make make) {
  try {
    make();
  } catch (const std::system_error&) {
    // Most texts are not addresses.
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  const auto port = script.ConsumeIntegral<std::uint16_t>();
  const std::string text = script.ConsumeRemainingBytesAsString();
  make([&] {
    const net::Address address(text, port);
    require(address.port() == port && address.with_port(port) == address, "a port");
    const bool ipv6 = address.family() == net::Family::ipv6;
    require(address == net::Address(address.host(), port), "a host is read back");
    const std::string host = ipv6 ? '[' + address.host() + ']' : address.host();
    require(address.to_string() == host + ':' + std::to_string(port), "an address is written");
    require(address == net::Address::from_native(address.native()), "its bytes are read back");
  });
  make([&] {
    const net::Address address = net::Address::unix_path(text);
    require(address.path() == text && address.abstract_name().empty(), "a path");
    require(address == net::Address::from_native(address.native()), "a path is read back");
  });
  make([&] {
    const net::Address address = net::Address::unix_abstract(text);
    require(address.abstract_name() == text && address.path().empty(), "a name");
    require(address == net::Address::from_native(address.native()), "a name is read back");
    for (const char letter : address.to_string()) {
      require(letter >= ' ' && letter <= '~', "what cannot be printed is escaped");
    }
  });
  make([&] {
    const net::Address address = net::Address::packet(text, port);
    // The kernel ignores text after a colon, which once named an alias.
    require(address.interface_name() == text.substr(0, text.find(':')), "an interface");
    require(address.protocol() == port, "a protocol");
  });
  return 0;
}
