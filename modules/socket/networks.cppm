/// \file
/// `net.socket:networks`: sets of networks, for decisions by address.
export module net.socket:networks;

import net.standard;
import :address;

export namespace net {

/// A set of IPv4 and IPv6 networks, such as those of the proxies that a server trusts. A plain
/// value: copies share their content, and may be read on any thread. Python:
/// `ipaddress.ip_network`.
class Networks {
 public:
  /// Makes the empty set.
  Networks() noexcept;
  /// Makes a set of networks from a comma-separated list: "10.0.0.0/8, ::1". An entry without a
  /// prefix length is a single address. "0.0.0.0/0, ::/0" contains every IP address.
  /// Throws `std::errc::invalid_argument` for an entry that is not a network: an address with bits
  /// set after the prefix ("10.0.0.1/8") or with a scope, an IPv4-mapped IPv6 address, or a name.
  explicit Networks(std::string_view list);
  Networks(const Networks& other) noexcept;
  Networks(Networks&& other) noexcept;
  Networks& operator=(const Networks& other) noexcept;
  Networks& operator=(Networks&& other) noexcept;
  ~Networks();

  /// Returns whether one of the networks contains the address. An IPv4-mapped IPv6 address
  /// (::ffff:10.0.0.1), which a dual-stack listener reports for IPv4 clients, is treated as the
  /// IPv4 address. An address of another family is in no network.
  bool contains(const Address& address) const noexcept;

  /// Returns whether the set is empty.
  bool empty() const noexcept;

  /// Returns the networks as text, separated by ", ".
  std::string to_string() const;

 private:
  struct Network;
  std::shared_ptr<const std::vector<Network>> networks_;  // null if the set is empty
};

/// Returns the network of an IPv4 or IPv6 address, as the first address of that network, with port
/// 0: for 192.0.2.7 with 24 bits, 192.0.2.0. An IPv4-mapped IPv6 address is treated as the IPv4
/// address. Other addresses are returned unchanged. Precondition: at most 32 bits for IPv4 and 128
/// for IPv6.
Address network_of(const Address& address, unsigned ipv4_bits, unsigned ipv6_bits);

}  // namespace net
