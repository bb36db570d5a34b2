/// \file
/// `net.socket:networks`: a set of networks, to tell whose addresses are whose.
export module net.socket:networks;

import net.standard;
import :address;

export namespace net {

/// Holds a set of IPv4 and IPv6 networks, such as those of the proxies that a server trusts. A
/// plain value: copies share what they hold, and may be read from anywhere. Python:
/// `ipaddress.ip_network`.
class Networks {
 public:
  /// Makes the empty set.
  Networks() noexcept;
  /// Makes a set of networks from their texts, separated by commas: "10.0.0.0/8, ::1". Without a
  /// prefix length, the network is that one address. "0.0.0.0/0, ::/0" is everybody.
  /// Throws `std::errc::invalid_argument` for what is no network: host bits behind the prefix
  /// ("10.0.0.1/8"), a scope, a name.
  explicit Networks(std::string_view list);
  Networks(const Networks& other) noexcept;
  Networks(Networks&& other) noexcept;
  Networks& operator=(const Networks& other) noexcept;
  Networks& operator=(Networks&& other) noexcept;
  ~Networks();

  /// Returns whether one of the networks has the address. An IPv4 address within IPv6
  /// (::ffff:10.0.0.1), as a dual-stack listener sees it, is that IPv4 address. What is not of the
  /// internet is in no network.
  bool contains(const Address& address) const noexcept;

  /// Returns whether there are none.
  bool empty() const noexcept;

  /// Returns the networks, separated by ", ".
  std::string to_string() const;

 private:
  struct Network;
  std::shared_ptr<const std::vector<Network>> networks_;  // null if there are none
};

/// Returns the network that an address of the internet is in, as its first address, with port 0:
/// of 192.0.2.7, with 24 bits, 192.0.2.0. An IPv4 address within IPv6 is that IPv4 address. Other
/// addresses are returned as they are. Precondition: at most 32 bits of IPv4, and 128 of IPv6.
Address network_of(const Address& address, unsigned ipv4_bits, unsigned ipv6_bits);

}  // namespace net
