module;

#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <gsl/narrow>
#include <span>
#include <string>
#include <string_view>

module net.socket;

import :native;

namespace net {
namespace {

constexpr std::size_t before_hardware_address = offsetof(sockaddr_ll, sll_addr);

int index_of(std::string_view interface_name) {
  if (interface_name.empty()) return 0;
  const std::string name(interface_name);
  // if_nametoindex would ignore everything after a NUL.
  const unsigned index =
      name.find('\0') == std::string::npos ? ::if_nametoindex(name.c_str()) : (errno = ENODEV, 0U);
  if (index == 0) throw_system_error(errno, "network interface \"" + name + '"');
  return gsl::narrow_cast<int>(index);
}

}  // namespace

Address Address::packet(std::string_view interface_name, std::uint16_t protocol,
                        std::span<const std::byte> hardware_address) {
  if (hardware_address.size() > longest_hardware_address) {
    throw_system_error(EINVAL,
                       "hardware address of " + std::to_string(hardware_address.size()) + " bytes");
  }
  sockaddr_ll native{};
  native.sll_family = AF_PACKET;
  native.sll_protocol = htons(protocol);
  native.sll_ifindex = index_of(interface_name);
  native.sll_halen = gsl::narrow_cast<unsigned char>(hardware_address.size());
  std::array<std::byte, before_hardware_address + longest_hardware_address> bytes{};
  std::memcpy(bytes.data(), &native, before_hardware_address);
  std::ranges::copy(hardware_address, bytes.begin() + before_hardware_address);
  return from_native(bytes);
}

std::string Address::interface_name() const {
  if (family() != Family::packet) return {};
  const int index = read_as<sockaddr_ll>(native()).sll_ifindex;
  if (index == 0) return {};
  std::array<char, IF_NAMESIZE> name{};
  const char* known = ::if_indextoname(gsl::narrow_cast<unsigned>(index), name.data());
  return known != nullptr ? std::string(known) : std::to_string(index);
}

std::uint16_t Address::protocol() const noexcept {
  if (family() != Family::packet) return 0;
  return ntohs(read_as<sockaddr_ll>(native()).sll_protocol);
}

std::span<const std::byte> Address::hardware_address() const noexcept {
  if (family() != Family::packet) return {};
  const std::size_t size = read_as<sockaddr_ll>(native()).sll_halen;
  return native().subspan(before_hardware_address, size);
}

}  // namespace net
