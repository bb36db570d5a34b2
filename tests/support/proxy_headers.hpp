// Headers of the PROXY protocol, as proxies write them.
#pragma once

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace support {

using namespace std::string_literals;

inline std::string big_endian(std::size_t number) {
  return {static_cast<char>(number >> 8U & 0xffU), static_cast<char>(number & 0xffU)};
}

// Returns a header of version 2: the bytes for the command and for the family and transport, then
// the block that follows the length.
inline std::string version_2(int command, int family, const std::string& block) {
  return "\r\n\r\n\0\r\nQUIT\n"s + static_cast<char>(command) + static_cast<char>(family) +
         big_endian(block.size()) + block;
}

inline std::string host_bytes(int family, const char* host) {
  std::string bytes(family == AF_INET ? 4 : 16, '\0');
  ::inet_pton(family, host, bytes.data());
  return bytes;
}

inline std::string addresses(int family, const char* source, std::uint16_t port) {
  return host_bytes(family, source) + host_bytes(family, source) + big_endian(port) +
         big_endian(80);
}

inline std::string ipv4_header(const char* source, std::uint16_t port,
                               const std::string& fields = {}) {
  return version_2(0x21, 0x11, addresses(AF_INET, source, port) + fields);
}
inline std::string ipv6_header(const char* source, std::uint16_t port,
                               const std::string& fields = {}) {
  return version_2(0x21, 0x21, addresses(AF_INET6, source, port) + fields);
}
inline std::string local_header(const std::string& block = {}) { return version_2(0x20, 0, block); }

inline std::string unix_header(std::string source) {
  source.resize(108);
  return version_2(0x21, 0x31, source + std::string(108, '\0'));
}

// Returns a field (TLV) for the part after the addresses.
inline std::string field(int type, std::string_view value) {
  return std::string(1, static_cast<char>(type)) + big_endian(value.size()) + std::string(value);
}

// Appends a checksum field to the header. Its value is the correct checksum plus `off`.
inline std::string with_checksum(std::string header, std::uint32_t off = 0) {
  header += field(3, std::string(4, '\0'));
  header.replace(14, 2, big_endian(header.size() - 16));
  std::uint32_t crc = ~0U;
  for (const char byte : header) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool differ = ((crc ^ static_cast<unsigned char>(byte) >> bit) & 1U) != 0;
      crc = crc >> 1U ^ (differ ? 0x82F63B78U : 0U);
    }
  }
  crc = ~crc + off;
  return header.replace(header.size() - 4, 4, big_endian(crc >> 16U) + big_endian(crc & 0xffffU));
}

}  // namespace support
