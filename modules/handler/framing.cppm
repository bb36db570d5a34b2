/// \file
/// `net.handler:framing`: when a request is whole.
export module net.handler:framing;

import net.standard;

export namespace net {

/// Returns the size of the first line, with its '\n'; 0 if it has not ended yet. For
/// `request_size`.
std::size_t line(std::span<const std::byte> received) noexcept;

/// Returns the size of a block behind its length, an unsigned number of type `Length` in network
/// byte order that does not count itself; 0 if even the length is not here yet. For `request_size`.
template <std::unsigned_integral Length>
constexpr std::size_t length_prefixed(std::span<const std::byte> received) noexcept {
  if (received.size() < sizeof(Length)) return 0;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < sizeof(Length); ++i) {
    length = length << 8 | std::to_integer<std::uint64_t>(received[i]);
  }
  // A length that no memory holds stays over every limit instead of wrapping round.
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  return length > most - sizeof(Length) ? most : sizeof(Length) + length;
}

}  // namespace net
