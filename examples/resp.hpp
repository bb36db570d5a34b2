// The Redis protocol (RESP2), as far as redis_server.cpp needs it.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace resp {

inline std::optional<long long> number(std::string_view text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `use` with each word of the first command: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" or "GET k\r\n".
// Returns its size, or 0 if it is incomplete. Throws std::runtime_error if it is invalid.
template <class F>
std::size_t parse(std::string_view text, F use) {
  std::size_t at = 0;
  const auto header = [&](char mark, const char* error) -> std::optional<long long> {
    const auto end = text.find("\r\n", at);
    if (end == std::string_view::npos) return std::nullopt;
    const auto value = number(text.substr(at + 1, end - at - 1));
    if (text[at] != mark || !value || *value > 1'000'000) throw std::runtime_error(error);
    at = end + 2;
    return value;
  };
  if (text.starts_with('*')) {
    auto left = header('*', "invalid multibulk length");
    for (; left > 0; --*left) {
      const auto size = header('$', "invalid bulk length");
      if (!size) return 0;
      if (*size < 0) throw std::runtime_error("invalid bulk length");
      const auto end = at + static_cast<std::size_t>(*size) + 2;
      if (end > text.size()) return 0;
      use(text.substr(at, end - at - 2));
      at = end;
    }
    return left ? at : 0;
  }
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return 0;
  while ((at = text.find_first_not_of(" \r\n", at)) < end) {
    const auto next = text.find_first_of(" \r\n", at);
    use(text.substr(at, next - at));
    at = next;
  }
  return end + 1;
}

inline std::string integer(long long value) { return ":" + std::to_string(value) + "\r\n"; }

inline std::string error(const std::string& text) { return "-ERR " + text + "\r\n"; }

inline std::string bulk(std::string_view text) {
  std::string bulk = "$" + std::to_string(text.size()) + "\r\n";
  return bulk.append(text).append("\r\n");
}

}  // namespace resp
