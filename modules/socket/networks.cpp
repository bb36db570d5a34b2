module;

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <gsl/assert>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

module net.socket;

import :native;

namespace net {

struct Networks::Network {
  std::size_t bits;                 // length of the prefix
  std::array<std::byte, 16> bytes;  // the address; an IPv4 address is in the first four bytes
  Family family;
};

namespace {

constexpr std::array<std::byte, 12> mapped_prefix{
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
    std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

struct HostBytes {
  std::array<std::byte, 16> bytes{};
  Family family = Family::unspecified;
};

HostBytes host_bytes(const Address& address) noexcept {
  HostBytes host;
  if (address.family() == Family::ipv4) {
    const auto native = read_as<sockaddr_in>(address.native());
    std::memcpy(host.bytes.data(), &native.sin_addr, sizeof native.sin_addr);
    host.family = Family::ipv4;
  } else if (address.family() == Family::ipv6) {
    const auto native = read_as<sockaddr_in6>(address.native());
    std::memcpy(host.bytes.data(), &native.sin6_addr, sizeof native.sin6_addr);
    host.family = Family::ipv6;
    if (std::ranges::equal(std::span(host.bytes).first(12), mapped_prefix)) {
      std::ranges::copy(std::span(host.bytes).subspan(12), host.bytes.begin());
      std::ranges::fill(std::span(host.bytes).subspan(4), std::byte{0});
      host.family = Family::ipv4;
    }
  }
  return host;
}

Address address_of(const HostBytes& host) {
  if (host.family == Family::ipv4) {
    sockaddr_in native{};
    native.sin_family = AF_INET;
    std::memcpy(&native.sin_addr, host.bytes.data(), sizeof native.sin_addr);
    return Address::from_native(std::as_bytes(std::span(&native, 1)));
  }
  sockaddr_in6 native{};
  native.sin6_family = AF_INET6;
  std::memcpy(&native.sin6_addr, host.bytes.data(), sizeof native.sin6_addr);
  return Address::from_native(std::as_bytes(std::span(&native, 1)));
}

// Returns the address with the bits after the prefix cleared.
std::array<std::byte, 16> prefix_of(std::array<std::byte, 16> bytes, std::size_t bits) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t kept = bits > i * 8 ? std::min<std::size_t>(bits - i * 8, 8) : 0;
    bytes[i] &= static_cast<std::byte>(0xff00U >> kept);
  }
  return bytes;
}

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                          "\"" + std::string(text) + "\" is no network: " + why);
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto begin = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

Networks::Networks() noexcept = default;
Networks::Networks(const Networks& other) noexcept = default;
Networks::Networks(Networks&& other) noexcept = default;
Networks& Networks::operator=(const Networks& other) noexcept = default;
Networks& Networks::operator=(Networks&& other) noexcept = default;
Networks::~Networks() = default;

Networks::Networks(std::string_view list) {
  std::vector<Network> networks;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    const std::string_view text = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    const auto slash = std::min(text.find('/'), text.size());
    const std::string_view host = text.substr(0, slash);
    if (host.empty()) refuse(text, "it has no address");
    if (host.find('%') != host.npos) refuse(text, "a scope belongs to one address");
    HostBytes address;
    try {
      address = host_bytes(Address(host, 0));
    } catch (const std::system_error&) {
      refuse(text, "its address is not numeric");
    }
    const bool mapped = address.family == Family::ipv4 && host.find(':') != host.npos;
    if (mapped) refuse(text, "it is of IPv4, and to be written so");
    const std::size_t most = address.family == Family::ipv4 ? 32 : 128;
    std::size_t bits = most;
    if (slash < text.size()) {
      const std::string_view number = text.substr(slash + 1);
      const auto [stop, error] =
          std::from_chars(number.data(), number.data() + number.size(), bits);
      if (error != std::errc{} || stop != number.data() + number.size() || bits > most) {
        refuse(text, "its prefix has from 0 to " + std::to_string(most) + " bits");
      }
    }
    if (prefix_of(address.bytes, bits) != address.bytes) {
      refuse(text, "its address has bits behind the prefix");
    }
    networks.push_back({.bits = bits, .bytes = address.bytes, .family = address.family});
  }
  if (!networks.empty()) {
    networks_ = std::make_shared<const std::vector<Network>>(std::move(networks));
  }
}

bool Networks::contains(const Address& address) const noexcept {
  if (networks_ == nullptr) return false;
  const HostBytes host = host_bytes(address);
  return std::ranges::any_of(*networks_, [&](const Network& network) {
    return network.family == host.family && prefix_of(host.bytes, network.bits) == network.bytes;
  });
}

bool Networks::empty() const noexcept { return networks_ == nullptr; }

std::string Networks::to_string() const {
  std::string text;
  if (networks_ == nullptr) return text;
  for (const Network& network : *networks_) {
    if (!text.empty()) text += ", ";
    text += address_of({.bytes = network.bytes, .family = network.family}).host();
    text += "/" + std::to_string(network.bits);
  }
  return text;
}

Address network_of(const Address& address, unsigned ipv4_bits, unsigned ipv6_bits) {
  Expects(ipv4_bits <= 32 && ipv6_bits <= 128);
  HostBytes host = host_bytes(address);
  if (host.family == Family::unspecified) return address;
  host.bytes = prefix_of(host.bytes, host.family == Family::ipv4 ? ipv4_bits : ipv6_bits);
  return address_of(host);
}

}  // namespace net
