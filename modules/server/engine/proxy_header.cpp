module;

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

module net.server;

import net.socket;
import :proxy_header;

namespace net {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view line_begin = "PROXY ";
constexpr std::size_t longest_line = 107;  // with its CRLF

ProxyHeader partial() { return {}; }
ProxyHeader wrong(const char* fault) {
  return {.state = ProxyHeader::State::wrong, .fault = fault};
}
ProxyHeader whole(std::size_t size, const Address& client = {}) {
  return {.state = ProxyHeader::State::whole, .size = size, .client = client};
}

std::string_view text_of(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool begins_alike(std::string_view text, std::string_view begin) noexcept {
  const std::size_t both = std::min(text.size(), begin.size());
  return text.substr(0, both) == begin.substr(0, both);
}

// --- version 1 --------------------------------------------------------------------------------

// Removes a word, and the space after it, from the front of `text`, and returns the word.
std::string_view take_word(std::string_view& text) noexcept {
  const auto end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<std::uint16_t> port_of(std::string_view word) noexcept {
  std::uint16_t port = 0;
  const auto* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, port);
  const bool padded = word.size() > 1 && word.front() == '0';
  if (error != std::errc{} || stop != end || padded) return std::nullopt;
  return port;
}

// Returns an unspecified address if the word is not a numeric address of that family.
Address address_of(std::string_view host, std::uint16_t port, Family family) {
  if (host.empty() || host.find('%') != host.npos) return {};
  try {
    const Address address(host, port);
    return address.family() == family ? address : Address();
  } catch (const std::system_error&) {
    return {};
  }
}

ProxyHeader read_line(std::string_view received) {
  const auto end = received.substr(0, longest_line).find("\r\n");
  if (end == received.npos) {
    return received.size() < longest_line ? partial() : wrong("its line is longer than 107 bytes");
  }
  std::string_view line = received.substr(0, end);
  // If the proxy ended its line with a lone CR or LF, the bytes after that are the client's.
  if (line.find_first_of("\r\n") != line.npos) return wrong("its line is malformed");
  line.remove_prefix(line_begin.size());
  const std::string_view protocol = take_word(line);
  if (protocol == "UNKNOWN") return whole(end + 2);
  if (protocol != "TCP4" && protocol != "TCP6") return wrong("its protocol is unknown");
  const Family family = protocol == "TCP4" ? Family::ipv4 : Family::ipv6;
  // There are four words, separated by single spaces. A missing word is read as empty, and an extra
  // one is left over.
  const bool ends_with_blank = line.ends_with(' ');
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  const auto source_port = port_of(take_word(line));
  const auto destination_port = port_of(take_word(line));
  if (!source_port || !destination_port || !line.empty() || ends_with_blank) {
    return wrong("its line is malformed");
  }
  const Address client = address_of(source, *source_port, family);
  if (client == Address() || address_of(destination, *destination_port, family) == Address()) {
    return wrong("its addresses are malformed");
  }
  return whole(end + 2, client);
}

// --- version 2 --------------------------------------------------------------------------------

constexpr std::size_t fixed_size = 16;  // signature, version and command, family, length

enum class Transport : std::uint8_t { unspecified = 0, stream = 1, datagram = 2 };

unsigned number(std::byte byte) noexcept { return std::to_integer<unsigned>(byte); }

std::size_t number(std::byte high, std::byte low) noexcept {
  return std::size_t{number(high)} << 8U | number(low);
}

// Returns how many bytes the addresses of a family take; nothing if there is no such family.
std::optional<std::size_t> size_of_addresses(unsigned family) noexcept {
  constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 216};
  return family < sizes.size() ? std::optional(sizes[family]) : std::nullopt;
}

template <class Native>
Address from_native(const Native& native) {
  return Address::from_native(std::as_bytes(std::span(&native, 1)));
}

// Converts a name as in sockaddr_un, padded with NULs.
Address unix_address(Bytes name) {
  const std::string_view padded = text_of(name);
  if (!padded.starts_with('\0')) return Address::unix_path(padded.substr(0, padded.find('\0')));
  const auto end = padded.find_last_not_of('\0');
  if (end == padded.npos) return Address::unix_unnamed();
  return Address::unix_abstract(padded.substr(1, end));
}

Address source_of(unsigned family, Bytes addresses) {
  if (family == 1) {
    sockaddr_in native{};
    native.sin_family = AF_INET;
    std::memcpy(&native.sin_addr, addresses.data(), 4);
    std::memcpy(&native.sin_port, addresses.data() + 8, 2);
    return from_native(native);
  }
  if (family == 2) {
    sockaddr_in6 native{};
    native.sin6_family = AF_INET6;
    std::memcpy(&native.sin6_addr, addresses.data(), 16);
    std::memcpy(&native.sin6_port, addresses.data() + 32, 2);
    return from_native(native);
  }
  if (family == 3) return unix_address(addresses.first(108));
  return {};
}

// CRC-32C, RFC 3720, section 12.1 (examples in appendix B.4): the reflected polynomial is
// 0x82F63B78.
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) noexcept {
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
  }
  return crc;
}

// The checksum is computed over the header with the checksum's own bytes set to zero.
bool checksum_is_right(Bytes header, std::size_t at) noexcept {
  constexpr std::array<std::byte, 4> zeros{};
  std::uint32_t crc = crc32c(~0U, header.first(at));
  crc = crc32c(crc, zeros);
  crc = ~crc32c(crc, header.subspan(at + zeros.size()));
  std::uint32_t told = 0;
  for (std::size_t i = 0; i < zeros.size(); ++i) {
    told = told << 8U | std::to_integer<std::uint32_t>(header[at + i]);
  }
  return told == crc;
}

enum class Fields : std::uint8_t { right, malformed, wrong_checksum };

// Checks what follows the addresses: fields of a type, a length and a value (TLVs), which fill the
// rest of the header.
Fields check_fields(Bytes header, std::size_t begin) noexcept {
  constexpr unsigned type_of_checksum = 3;
  std::size_t checksums = 0;
  for (std::size_t at = begin; at < header.size();) {
    if (header.size() - at < 3) return Fields::malformed;
    const std::size_t size = number(header[at + 1], header[at + 2]);
    const std::size_t value = at + 3;
    if (header.size() - value < size) return Fields::malformed;
    if (number(header[at]) == type_of_checksum) {
      if (size != 4 || ++checksums > 1) return Fields::malformed;
      if (!checksum_is_right(header, value)) return Fields::wrong_checksum;
    }
    at = value + size;
  }
  return Fields::right;
}

ProxyHeader read_binary(Bytes received) {
  if (received.size() < fixed_size) return partial();
  const unsigned version = number(received[12]) >> 4U;
  const unsigned command = number(received[12]) & 0xfU;
  if (version != 2) return wrong("its version is neither 1 nor 2");
  if (command > 1) return wrong("its command is neither LOCAL nor PROXY");
  const std::size_t size = fixed_size + number(received[14], received[15]);
  if (size > largest_proxy_header) return wrong("it is longer than 4096 bytes");

  const bool local = command == 0;
  const unsigned family = number(received[13]) >> 4U;
  const unsigned transport = number(received[13]) & 0xfU;
  const auto addresses = size_of_addresses(family);
  const bool fits = addresses && transport <= 2 && fixed_size + *addresses <= size;
  if (!fits && !local) return wrong("its addresses are malformed");
  if (received.size() < size) return partial();

  // With LOCAL, the proxy speaks for itself. The rest of the header is ignored then, except for a
  // checksum.
  const Bytes header = received.first(size);
  const Fields fields = fits ? check_fields(header, fixed_size + *addresses) : Fields::malformed;
  if (fields == Fields::wrong_checksum) return wrong("its checksum is wrong");
  if (local) return whole(size);
  if (fields == Fields::malformed) return wrong("its fields are malformed");
  if (transport != static_cast<unsigned>(Transport::stream)) return whole(size);
  return whole(size, source_of(family, header.subspan(fixed_size)));
}

}  // namespace

ProxyHeader read_proxy_header(std::span<const std::byte> received) {
  const std::string_view text = text_of(received);
  if (begins_alike(text, line_begin)) {
    return text.size() < line_begin.size() ? partial() : read_line(text);
  }
  if (begins_alike(text, signature)) {
    return text.size() < signature.size() ? partial() : read_binary(received);
  }
  return wrong("it begins with something else");
}

}  // namespace net
