/// \file
/// `net.socket:address`: where a socket is, as a value.
module;

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

export module net.socket:address;

export namespace net {

/// Names an address family. Python: `AF_INET`, `AF_INET6`, `AF_UNIX`, `AF_PACKET`.
enum class Family : std::uint8_t { unspecified, ipv4, ipv6, unix_domain, packet };

/// Holds the address of one end of a socket: numeric, never a name (names go through `resolve`).
/// A plain value: safe to copy and compare from anywhere.
class Address {
 public:
  /// Makes the unspecified address; it equals only itself, and no socket binds to it.
  Address() noexcept;

  /// Makes an IPv4 or IPv6 address from its numeric text, an IPv6 scope behind '%' included
  /// ("fe80::1%eth0"). An empty host is 0.0.0.0, as in Python.
  /// Throws `std::errc::invalid_argument` if `host` is not numeric.
  Address(std::string_view host, std::uint16_t port);

  /// Makes an address from the bytes of a `sockaddr`.
  /// Throws `std::errc::address_family_not_supported` for a family not in `Family`, and
  /// `std::errc::invalid_argument` if the bytes are fewer or more than the family has.
  static Address from_native(std::span<const std::byte> sockaddr);

  Family family() const noexcept;

  /// Returns the numeric host, without brackets; empty if the family has none.
  std::string host() const;

  /// Returns the port, 0 if the family has none.
  std::uint16_t port() const noexcept;

  /// Returns the same address with another port. Precondition: an IPv4 or IPv6 address.
  Address with_port(std::uint16_t port) const;

  /// Returns "127.0.0.1:80", "[::1]:80"; "unspecified" for the unspecified address.
  std::string to_string() const;

  /// Returns the bytes as bind(2) and connect(2) want them.
  std::span<const std::byte> native() const noexcept { return {storage_.data(), size_}; }

  friend bool operator==(const Address& left, const Address& right) noexcept;
  friend std::ostream& operator<<(std::ostream& out, const Address& address);

 private:
  // Room for the largest: sockaddr_un, 110 bytes.
  alignas(8) std::array<std::byte, 112> storage_;
  std::uint8_t size_ = 0;
};

}  // namespace net
