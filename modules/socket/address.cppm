/// \file
/// `net.socket:address`: where a socket is, as a value.
export module net.socket:address;

import net.standard;

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
  /// ("fe80::1%eth0"): the name of an interface or, if no interface has that name, its index.
  /// An empty host is 0.0.0.0, as in Python.
  /// Throws `std::errc::invalid_argument` if `host` is not numeric.
  Address(std::string_view host, std::uint16_t port);

  /// Makes the address of a Unix socket in the file system. unix(7).
  /// Throws `std::errc::invalid_argument` if `path` is empty or holds a NUL, and
  /// `std::errc::filename_too_long` beyond 108 bytes (other systems take fewer: 104).
  static Address unix_path(std::string_view path);

  /// Makes the address of a Unix socket outside of the file system, named by bytes of any value.
  /// unix(7), abstract; Python: a name behind "\0".
  /// Throws `std::errc::filename_too_long` beyond 107 bytes.
  static Address unix_abstract(std::string_view name);

  /// Makes the Unix address without a name, as that of a socket that is not bound. A socket bound
  /// to it gets an abstract name that nobody has. unix(7), autobind; Python: "".
  static Address unix_unnamed() noexcept;

  /// Makes the address of a network interface, for frames of `protocol` ("lo", 0x88B5); an empty
  /// name is every interface. The hardware address is that of the receiver of a frame, and means
  /// nothing to `bind`. packet(7).
  /// Throws `std::errc::no_such_device` for an unknown interface, and
  /// `std::errc::invalid_argument` for a hardware address of more than 32 bytes.
  static Address packet(std::string_view interface_name, std::uint16_t protocol,
                        std::span<const std::byte> hardware_address = {});

  /// Makes an address from the bytes of a `sockaddr`.
  /// Throws `std::errc::address_family_not_supported` for a family not in `Family`, and
  /// `std::errc::invalid_argument` if the bytes are fewer or more than the family has.
  static Address from_native(std::span<const std::byte> sockaddr);

  /// Returns the family; `unspecified` for the unspecified address.
  Family family() const noexcept;

  /// Returns the numeric host, without brackets; empty if the family has none.
  std::string host() const;

  /// Returns the port, 0 if the family has none.
  std::uint16_t port() const noexcept;

  /// Returns the same address with another port. Precondition: an IPv4 or IPv6 address.
  Address with_port(std::uint16_t port) const;

  /// Returns whether this is 0.0.0.0 or ::, every address of the host.
  bool is_wildcard() const noexcept;

  /// Returns the path of a Unix address; empty if it has none.
  std::string path() const;

  /// Returns the name of an abstract Unix address; empty for all others.
  std::string abstract_name() const;

  /// Returns whether this is the Unix address without a name.
  bool unnamed() const noexcept;

  /// Returns the interface of a packet address, as its number if it is gone; empty for every
  /// interface, and for other families.
  std::string interface_name() const;

  /// Returns the protocol of a packet address (0x88B5); 0 for other families.
  std::uint16_t protocol() const noexcept;

  /// Views the hardware address of a packet address; empty if there is none. Valid as long as this.
  std::span<const std::byte> hardware_address() const noexcept;

  /// Returns "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock", "unix:@abstract" (bytes that cannot be
  /// printed as \xNN), "unix:unnamed", "packet:eth0/0x88b5" (every interface is '*'); "unspecified"
  /// for the unspecified address.
  std::string to_string() const;

  /// Returns the bytes as bind(2) and connect(2) want them.
  inline std::span<const std::byte> native() const noexcept { return {storage_.data(), size_}; }

  /// Compares the bytes: two names of one socket are two addresses.
  friend bool operator==(const Address& left, const Address& right) noexcept;
  /// Writes what `to_string` returns.
  friend std::ostream& operator<<(std::ostream& out, const Address& address);

 private:
  // Room for the largest, sockaddr_un, 110 bytes; with the size, 112.
  alignas(8) std::array<std::byte, 111> storage_;
  std::uint8_t size_ = 0;
};

}  // namespace net
