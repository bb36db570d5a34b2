/// \file
/// `net.handler:framing`: functions that find the end of a request.
export module net.handler:framing;

import net.standard;

export namespace net {

/// Returns the size of the first line, including its '\n'; 0 if the line is not complete yet. For
/// `request_size`.
std::size_t line(std::span<const std::byte> received) noexcept;

/// Returns the size of a block with its length prefix; 0 if the prefix is not complete yet. The
/// prefix is an unsigned number of type `Length` in network byte order, and does not count itself.
/// For `request_size`.
template <std::unsigned_integral Length>
constexpr std::size_t length_prefixed(std::span<const std::byte> received) noexcept {
  if (received.size() < sizeof(Length)) return 0;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < sizeof(Length); ++i) {
    length = length << 8 | std::to_integer<std::uint64_t>(received[i]);
  }
  // A length too large for any memory must exceed every limit, instead of wrapping around.
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  return length > most - sizeof(Length) ? most : sizeof(Length) + length;
}

}  // namespace net
