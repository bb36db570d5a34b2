#include <array>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

import net.handler;

using boost::unit_test::timeout;

namespace {

template <class Length, class... Digits>
constexpr std::size_t sized(Digits... digits) {
  const std::array<std::byte, sizeof...(Digits)> received{std::byte(digits)...};
  return net::length_prefixed<Length>(received);
}

std::size_t line(std::string_view text) { return net::line(net::bytes(text)); }

}  // namespace

// Not even the length has arrived completely.
static_assert(sized<std::uint8_t>() == 0);
static_assert(sized<std::uint16_t>(1) == 0);
static_assert(sized<std::uint32_t>(0, 0, 1) == 0);
static_assert(sized<std::uint64_t>(1, 2, 3, 4, 5, 6, 7) == 0);

// The length is in network byte order, and does not count itself.
static_assert(sized<std::uint8_t>(0) == 1);
static_assert(sized<std::uint8_t>(255) == 256);
static_assert(sized<std::uint16_t>(1, 2) == 2 + 0x102);
static_assert(sized<std::uint32_t>(1, 2, 3, 4) == 4 + 0x1020304);
static_assert(sized<std::uint32_t>(255, 255, 255, 255) == 4 + std::size_t{0xffffffff});
static_assert(sized<std::uint64_t>(0, 0, 0, 0, 0, 0, 1, 2) == 8 + 0x102);

// Bytes after the message do not count.
static_assert(sized<std::uint8_t>(2, 255, 255, 255) == 3);

// Lengths at the limit of what a size can hold, and beyond it.
static_assert(sized<std::uint64_t>(255, 255, 255, 255, 255, 255, 255, 246) == SIZE_MAX - 1);
static_assert(sized<std::uint64_t>(255, 255, 255, 255, 255, 255, 255, 247) == SIZE_MAX);
static_assert(sized<std::uint64_t>(255, 255, 255, 255, 255, 255, 255, 248) == SIZE_MAX);
static_assert(sized<std::uint64_t>(255, 255, 255, 255, 255, 255, 255, 255) == SIZE_MAX);

static_assert(noexcept(net::line({})));
static_assert(noexcept(net::length_prefixed<std::uint8_t>({})));

BOOST_AUTO_TEST_CASE(a_line_that_has_not_ended_has_no_size, *timeout(10)) {
  BOOST_TEST(line("") == 0);
  BOOST_TEST(net::line({}) == 0);
  BOOST_TEST(line("a") == 0);
  BOOST_TEST(line("a\r") == 0);
  BOOST_TEST(line(std::string_view("\0\0", 2)) == 0);
}

BOOST_AUTO_TEST_CASE(the_size_of_a_line_counts_its_end, *timeout(10)) {
  BOOST_TEST(line("\n") == 1);
  BOOST_TEST(line("ab\n") == 3);
  BOOST_TEST(line("ab\r\n") == 4);
}

BOOST_AUTO_TEST_CASE(the_first_line_counts, *timeout(10)) {
  BOOST_TEST(line("a\nbc\n") == 2);
  BOOST_TEST(line("\n\n") == 1);
  BOOST_TEST(line(std::string_view("\0\n\n", 3)) == 2);
}

BOOST_AUTO_TEST_CASE(a_line_is_not_sought_beyond_what_was_received, *timeout(10)) {
  const std::string_view text = "abc\n";
  BOOST_TEST(line(text.substr(0, 3)) == 0);
}

BOOST_AUTO_TEST_CASE(a_block_is_sized_at_run_time_too, *timeout(10)) {
  const std::string block = std::string("\x00\x05", 2) + "hello";
  BOOST_TEST(net::length_prefixed<std::uint16_t>(net::bytes(block)) == block.size());
}
