// Sets of networks from text: the text of a valid set must give the same set again.

#include <string>
#include <string_view>
#include <system_error>

#include "fuzz.hpp"

import net.socket;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  const std::string host = input.ConsumeRandomLengthString(40);
  const std::string text = input.ConsumeRemainingBytesAsString();
  net::Networks networks;
  try {
    networks = net::Networks(text);
  } catch (const std::system_error& error) {
    require(error.code() == std::errc::invalid_argument, "a text is refused as such");
    return 0;
  }
  const net::Networks again(networks.to_string());
  require(again.to_string() == networks.to_string(), "a set reads back as the same");
  try {
    const net::Address address(host, 1);
    require(networks.contains(address) == again.contains(address), "and has the same addresses");
  } catch (const std::system_error&) {
    // Not an address.
  }
  return 0;
}
