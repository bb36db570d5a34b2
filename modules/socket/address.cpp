module;

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <gsl/assert>
#include <gsl/narrow>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

module net.socket;

import :native;

namespace net {
namespace {

// Returns the number of the family, which is the first field of every sockaddr.
sa_family_t number_of(std::span<const std::byte> bytes) {
  return bytes.size() < sizeof(sa_family_t) ? sa_family_t{AF_UNSPEC} : read_as<sa_family_t>(bytes);
}

[[noreturn]] void throw_not_numeric(std::string_view host) {
  throw std::system_error(
      std::make_error_code(std::errc::invalid_argument),
      "\"" + std::string(host) + "\" is not a numeric address; names are for net::resolve");
}

// Returns the index of the scope. Looks for a name first, as getaddrinfo(3) does: an interface
// may be named "7" while another one has the index 7, and `Address::host` returns names.
std::uint32_t scope_of(std::string_view host, std::string_view scope) {
  std::uint32_t index = ::if_nametoindex(std::string(scope).c_str());
  if (index != 0) return index;
  const auto* const end = scope.data() + scope.size();
  const auto [stop, error] = std::from_chars(scope.data(), end, index);
  if (error != std::errc{} || stop != end) throw_not_numeric(host);
  return index;
}

// The kernel may return a path of the full length of sun_path with a NUL after it (unix(7), BUGS),
// but does not accept that NUL. So the canonical size of a path includes the NUL, unless that would
// exceed sockaddr_un.
std::optional<std::size_t> size_of_unix(std::span<const std::byte> bytes) {
  const auto name = bytes.subspan(offsetof(sockaddr_un, sun_path));
  const bool abstract = !name.empty() && name.front() == std::byte{0};
  if (name.empty() || (abstract && bytes.size() <= sizeof(sockaddr_un))) return bytes.size();
  const auto length = std::ranges::find(name, std::byte{0}) - name.begin();
  const auto size = offsetof(sockaddr_un, sun_path) + gsl::narrow_cast<std::size_t>(length);
  if (abstract || size > sizeof(sockaddr_un) || name.size() > sizeof sockaddr_un::sun_path + 1) {
    return std::nullopt;
  }
  return std::min(size + 1, sizeof(sockaddr_un));
}

// An address from the kernel ends after the hardware address, so it may be shorter than a
// sockaddr_ll. The kernel accepts no address that is shorter than that.
std::optional<std::size_t> size_of_packet(std::span<const std::byte> bytes) {
  constexpr std::size_t before = offsetof(sockaddr_ll, sll_addr);
  const auto size = before + read_as<sockaddr_ll>(bytes).sll_halen;
  if (bytes.size() < size || bytes.size() > before + longest_hardware_address) return std::nullopt;
  return std::max(size, sizeof(sockaddr_ll));
}

// Returns the size at which an address is stored. It leaves out bytes after the end of the address,
// which would make equal addresses differ. Returns nothing if the bytes are not an address.
std::optional<std::size_t> canonical_size(std::span<const std::byte> bytes) {
  const auto only = [&](std::size_t size) {
    return bytes.size() == size ? std::optional(size) : std::nullopt;
  };
  switch (number_of(bytes)) {
    case AF_INET: return only(sizeof(sockaddr_in));
    case AF_INET6: return only(sizeof(sockaddr_in6));
    case AF_UNIX: return size_of_unix(bytes);
    case AF_PACKET: return size_of_packet(bytes);
    default: return only(0);
  }
}

// Returns the text with unprintable bytes as \xNN.
std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string shown;
  for (const char letter : text) {
    const auto value = gsl::narrow_cast<unsigned char>(letter);
    if (value >= 0x20 && value < 0x7f) {
      shown += letter;
    } else {
      shown += {'\\', 'x', digits[value >> 4U], digits[value & 15U]};
    }
  }
  return shown;
}

std::string shown_unix(const Address& address) {
  if (address.unnamed()) return "unix:unnamed";
  const auto path = address.path();
  return "unix:" + (path.empty() ? '@' + printable(address.abstract_name()) : printable(path));
}

std::string shown_packet(const Address& address) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), address.protocol(), 16).ptr;
  const auto number = std::string(digits.begin(), end);
  const auto interface = address.interface_name();
  return "packet:" + (interface.empty() ? "*" : interface) + "/0x" +
         std::string(4 - number.size(), '0') + number;
}

}  // namespace

Address::Address() noexcept : storage_{} {}

Address::Address(std::string_view host, std::uint16_t port) : storage_{} {
  const std::string text(host.empty() ? std::string_view("0.0.0.0") : host);
  if (host.find('\0') != std::string_view::npos) throw_not_numeric(host);
  sockaddr_in ipv4{};
  if (::inet_pton(AF_INET, text.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    std::memcpy(storage_.data(), &ipv4, sizeof ipv4);
    size_ = sizeof ipv4;
    return;
  }
  sockaddr_in6 ipv6{};
  const auto percent = text.find('%');
  if (::inet_pton(AF_INET6, text.substr(0, percent).c_str(), &ipv6.sin6_addr) != 1) {
    throw_not_numeric(host);
  }
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  if (percent != std::string::npos) {
    ipv6.sin6_scope_id = scope_of(host, std::string_view(text).substr(percent + 1));
  }
  std::memcpy(storage_.data(), &ipv6, sizeof ipv6);
  size_ = sizeof ipv6;
}

Address Address::from_native(std::span<const std::byte> sockaddr) {
  const auto size = canonical_size(sockaddr);
  if (!size) {
    const auto family = number_of(sockaddr);
    const bool known = family_of(family) != Family::unspecified;
    throw std::system_error(std::make_error_code(known ? std::errc::invalid_argument
                                                       : std::errc::address_family_not_supported),
                            "socket address of family " + std::to_string(family));
  }
  Address address;
  const auto meant = sockaddr.first(std::min(*size, sockaddr.size()));
  std::copy(meant.begin(), meant.end(), address.storage_.begin());
  address.size_ = gsl::narrow_cast<std::uint8_t>(*size);
  return address;
}

Family Address::family() const noexcept { return family_of(number_of(native())); }

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == Family::ipv4) {
    const auto ipv4 = read_as<sockaddr_in>(native());
    return ::inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
  }
  if (family() != Family::ipv6) return {};
  const auto ipv6 = read_as<sockaddr_in6>(native());
  std::string host = ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
  if (ipv6.sin6_scope_id != 0) {
    std::array<char, IF_NAMESIZE> name{};
    const char* known = ::if_indextoname(ipv6.sin6_scope_id, name.data());
    host += '%' + (known != nullptr ? std::string(known) : std::to_string(ipv6.sin6_scope_id));
  }
  return host;
}

std::uint16_t Address::port() const noexcept {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const auto known = family();
  if (known != Family::ipv4 && known != Family::ipv6) return 0;
  return ntohs(read_as<sockaddr_in>(native()).sin_port);
}

Address Address::with_port(std::uint16_t port) const {
  Expects(family() == Family::ipv4 || family() == Family::ipv6);
  Address other = *this;
  const in_port_t network_order = htons(port);
  std::memcpy(other.storage_.data() + offsetof(sockaddr_in, sin_port), &network_order,
              sizeof network_order);
  return other;
}

bool Address::is_wildcard() const noexcept {
  if (family() == Family::ipv4) {
    return read_as<sockaddr_in>(native()).sin_addr.s_addr == htonl(INADDR_ANY);
  }
  if (family() != Family::ipv6) return false;
  const auto ipv6 = read_as<sockaddr_in6>(native());
  return std::memcmp(&ipv6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

std::string Address::to_string() const {
  switch (family()) {
    case Family::ipv4: return host() + ':' + std::to_string(port());
    case Family::ipv6: return '[' + host() + "]:" + std::to_string(port());
    case Family::unix_domain: return shown_unix(*this);
    case Family::packet: return shown_packet(*this);
    case Family::unspecified: break;
  }
  return "unspecified";
}

bool operator==(const Address& left, const Address& right) noexcept {
  return std::ranges::equal(left.native(), right.native());
}

std::ostream& operator<<(std::ostream& out, const Address& address) {
  return out << address.to_string();
}

}  // namespace net
