module;

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <gsl/assert>
#include <gsl/narrow>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

module net.socket;

namespace net {
namespace {

template <class Native>
Native read_as(std::span<const std::byte> bytes) {
  Native native{};
  std::memcpy(&native, bytes.data(), std::min(sizeof native, bytes.size()));
  return native;
}

// The family's number, which every sockaddr begins with.
sa_family_t number_of(std::span<const std::byte> bytes) {
  return bytes.size() < sizeof(sa_family_t) ? sa_family_t{AF_UNSPEC} : read_as<sa_family_t>(bytes);
}

[[noreturn]] void throw_not_numeric(std::string_view host) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "\"" + std::string(host) + "\" is not a numeric address");
}

std::uint32_t scope_of(std::string_view host, std::string_view scope) {
  std::uint32_t index = 0;
  const auto* const end = scope.data() + scope.size();
  const auto [stop, error] = std::from_chars(scope.data(), end, index);
  if (error == std::errc{} && stop == end) return index;
  index = ::if_nametoindex(std::string(scope).c_str());
  if (index == 0) throw_not_numeric(host);
  return index;
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
  const auto family = number_of(sockaddr);
  // The kernel ends the longest path with a NUL beyond sockaddr_un: unix(7), BUGS.
  const bool fits = family == AF_INET    ? sockaddr.size() == sizeof(sockaddr_in)
                    : family == AF_INET6 ? sockaddr.size() == sizeof(sockaddr_in6)
                    : family == AF_UNIX  ? sockaddr.size() <= sizeof(sockaddr_un) + 1
                                         : sockaddr.empty();
  if (!fits) {
    const bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    throw std::system_error(std::make_error_code(known ? std::errc::invalid_argument
                                                       : std::errc::address_family_not_supported),
                            "socket address of family " + std::to_string(family));
  }
  Address address;
  std::copy(sockaddr.begin(), sockaddr.end(), address.storage_.begin());
  address.size_ = gsl::narrow_cast<std::uint8_t>(sockaddr.size());
  return address;
}

Family Address::family() const noexcept {
  switch (number_of(native())) {
    case AF_INET: return Family::ipv4;
    case AF_INET6: return Family::ipv6;
    case AF_UNIX: return Family::unix_domain;
    case AF_PACKET: return Family::packet;
    default: return Family::unspecified;
  }
}

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
  // sin_port and sin6_port stand at the same place.
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

std::string Address::to_string() const {
  switch (family()) {
    case Family::ipv4: return host() + ':' + std::to_string(port());
    case Family::ipv6: return '[' + host() + "]:" + std::to_string(port());
    case Family::unix_domain: return "unix";
    case Family::packet: return "packet";
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
