// The size of the first request: compares net::line and net::length_prefixed with other
// implementations.

#include <algorithm>
#include <limits>
#include <span>

#include "fuzz.hpp"

import net.handler;

namespace {

template <class Length>
std::size_t block(std::span<const std::byte> received) {
  if (received.size() < sizeof(Length)) return 0;
  unsigned __int128 size = 0;
  for (const std::byte byte : received.first(sizeof(Length))) {
    size = size * 256 + std::to_integer<unsigned>(byte);
  }
  size += sizeof(Length);
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  return size > most ? most : static_cast<std::size_t>(size);
}

std::size_t line(std::span<const std::byte> received) {
  const auto end = std::ranges::find(received, std::byte{'\n'});
  return end == received.end() ? 0 : static_cast<std::size_t>(end - received.begin()) + 1;
}

// Compares the sizes for each number of received bytes: a known size must not depend on later
// bytes.
template <class Known, class Expected>
void compare(std::span<const std::byte> all, Known known, Expected expected, const char* what) {
  for (std::size_t size = 0; size <= all.size(); ++size) {
    require(known(all.first(size)) == expected(all.first(size)), what);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto all = std::as_bytes(std::span(data, size));
  compare(all, net::line, line, "line");
  compare(all, net::length_prefixed<std::uint8_t>, block<std::uint8_t>, "a length of 8 bits");
  compare(all, net::length_prefixed<std::uint16_t>, block<std::uint16_t>, "a length of 16 bits");
  compare(all, net::length_prefixed<std::uint32_t>, block<std::uint32_t>, "a length of 32 bits");
  compare(all, net::length_prefixed<std::uint64_t>, block<std::uint64_t>, "a length of 64 bits");
  return 0;
}
