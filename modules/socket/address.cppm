/// \file
/// `net.socket:address`: the address of a socket, as a value.
export module net.socket:address;

import net.standard;

export namespace net {

/// An address family. Python: `AF_INET`, `AF_INET6`, `AF_UNIX`, `AF_PACKET`.
enum class Family : std::uint8_t { unspecified, ipv4, ipv6, unix_domain, packet };

/// The address of one end of a socket: an IPv4 or IPv6 address with a port, a Unix path or name, or
/// a network interface. IP addresses are always numeric; `resolve` turns host names into addresses.
/// A plain value: it may be copied and compared on any thread.
class Address {
 public:
  /// Makes the unspecified address. It equals only itself, and no socket can bind to it.
  Address() noexcept;

  /// Makes an IPv4 or IPv6 address from its numeric text. An IPv6 address may end with '%' and a
  /// scope ("fe80::1%eth0"), which is the name of an interface or, if no interface has that name,
  /// the index of one. An empty host means 0.0.0.0, as in Python.
  /// Throws `std::errc::invalid_argument` if `host` is not numeric, or if the scope is neither the
  /// name of an interface nor a number.
  Address(std::string_view host, std::uint16_t port);

  /// Makes the address of a Unix socket in the file system. unix(7).
  /// Throws `std::errc::invalid_argument` if `path` is empty or contains a NUL, and
  /// `std::errc::filename_too_long` if it is longer than 108 bytes (other systems allow less: 104).
  static Address unix_path(std::string_view path);

  /// Makes an abstract Unix address: a name outside the file system, which may contain any bytes.
  /// unix(7), abstract; Python: a name that begins with "\0".
  /// Throws `std::errc::filename_too_long` if the name is longer than 107 bytes.
  static Address unix_abstract(std::string_view name);

  /// Makes the Unix address without a name, which is the address of an unbound Unix socket. Binding
  /// a socket to it gives the socket an unused abstract name. unix(7), autobind; Python: "".
  static Address unix_unnamed() noexcept;

  /// Makes the address of a network interface ("lo"), for frames of `protocol` (0x88B5, in host
  /// byte order). An empty name means every interface. The hardware address is that of the receiver
  /// of a sent frame; `bind` ignores it. packet(7).
  /// Throws `std::errc::no_such_device` for an unknown interface, and `std::errc::invalid_argument`
  /// for a hardware address of more than 32 bytes.
  static Address packet(std::string_view interface_name, std::uint16_t protocol,
                        std::span<const std::byte> hardware_address = {});

  /// Makes an address from the bytes of a `sockaddr`.
  /// Throws `std::errc::address_family_not_supported` for a family that `Family` does not have, and
  /// `std::errc::invalid_argument` if the family has no addresses of this size.
  static Address from_native(std::span<const std::byte> sockaddr);

  /// Returns the family; `unspecified` for the unspecified address.
  Family family() const noexcept;

  /// Returns the numeric host, without brackets; empty if the family has no hosts.
  std::string host() const;

  /// Returns the port; 0 if the family has no ports.
  std::uint16_t port() const noexcept;

  /// Returns the same address with another port. Precondition: an IPv4 or IPv6 address.
  Address with_port(std::uint16_t port) const;

  /// Returns whether this is the wildcard address, 0.0.0.0 or ::.
  bool is_wildcard() const noexcept;

  /// Returns the path of a Unix address; empty if the address has no path.
  std::string path() const;

  /// Returns the name of an abstract Unix address; empty for all other addresses.
  std::string abstract_name() const;

  /// Returns whether this is the Unix address without a name.
  bool unnamed() const noexcept;

  /// Returns the interface name of a packet address, or its index if the interface no longer
  /// exists. Empty if the address means every interface, and for other families.
  std::string interface_name() const;

  /// Returns the protocol of a packet address (0x88B5); 0 for other families.
  std::uint16_t protocol() const noexcept;

  /// Views the hardware address of a packet address; empty if there is none. The view is valid
  /// until this object is changed or destroyed.
  std::span<const std::byte> hardware_address() const noexcept;

  /// Returns the address as text: "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock", "unix:@abstract"
  /// (unprintable bytes as \xNN), "unix:unnamed", "packet:eth0/0x88b5" ('*' means every interface),
  /// or "unspecified".
  std::string to_string() const;

  /// Returns the bytes of the `sockaddr` for bind(2) and connect(2).
  inline std::span<const std::byte> native() const noexcept { return {storage_.data(), size_}; }

  /// Compares the bytes, so two different names of the same socket are different addresses.
  friend bool operator==(const Address& left, const Address& right) noexcept;
  /// Writes what `to_string` returns.
  friend std::ostream& operator<<(std::ostream& out, const Address& address);

 private:
  // The largest address, sockaddr_un, has 110 bytes. With `size_`, the object has 112.
  alignas(8) std::array<std::byte, 111> storage_;
  std::uint8_t size_ = 0;
};

}  // namespace net
