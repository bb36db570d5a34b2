#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

import net.handler;

using boost::unit_test::timeout;
using net::ByteBuffer;

static_assert(!std::is_copy_constructible_v<ByteBuffer> && !std::is_copy_assignable_v<ByteBuffer>);

namespace {

constexpr std::size_t block_size = 65536;

std::string text(std::span<const std::byte> bytes) {
  std::string copy(bytes.size(), '\0');
  std::ranges::transform(bytes, copy.begin(),
                         [](std::byte byte) { return static_cast<char>(byte); });
  return copy;
}

void append(ByteBuffer& buffer, std::string_view bytes) { buffer.append(net::bytes(bytes)); }

}  // namespace

BOOST_AUTO_TEST_CASE(a_new_buffer_holds_nothing, *timeout(10)) {
  ByteBuffer buffer;
  BOOST_TEST(buffer.empty());
  BOOST_TEST(buffer.size() == 0U);
  BOOST_TEST(buffer.content().empty());
  BOOST_TEST(buffer.take(1).empty());
  buffer.shrink();
  BOOST_TEST(buffer.empty());
}

BOOST_AUTO_TEST_CASE(bytes_leave_in_the_order_they_came, *timeout(10)) {
  ByteBuffer buffer;
  append(buffer, "abc");
  append(buffer, "");
  append(buffer, "def");
  BOOST_TEST(buffer.size() == 6U);
  BOOST_TEST(text(buffer.content()) == "abcdef");
  BOOST_TEST(text(buffer.take(2)) == "ab");
  BOOST_TEST(text(buffer.content()) == "cdef");
  BOOST_TEST(text(buffer.take(100)) == "cdef");
  BOOST_TEST(buffer.empty());
}

BOOST_AUTO_TEST_CASE(room_that_is_filled_becomes_content, *timeout(10)) {
  ByteBuffer buffer;
  append(buffer, "a");
  const auto room = buffer.room(3);
  BOOST_REQUIRE(room.size() >= 3U);
  std::ranges::copy(net::bytes("bcd"), room.begin());
  buffer.filled(2);
  BOOST_TEST(text(buffer.content()) == "abc");
}

BOOST_AUTO_TEST_CASE(a_buffer_grows_and_keeps_its_content, *timeout(10)) {
  ByteBuffer buffer;
  std::string expected;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    const std::string part(10'000, letter);
    append(buffer, part);
    expected += part;
  }
  BOOST_TEST(buffer.room(1'000'000).size() >= 1'000'000U);
  BOOST_TEST((text(buffer.content()) == expected));
}

BOOST_AUTO_TEST_CASE(content_moves_to_the_front_before_memory_grows, *timeout(10)) {
  ByteBuffer buffer;
  append(buffer, std::string(block_size - 2, 'x'));
  append(buffer, "yz");
  buffer.take(block_size - 2);
  const auto room = buffer.room(block_size - 2);
  BOOST_TEST(room.size() == block_size - 2);
  BOOST_TEST(text(buffer.content()) == "yz");
}

BOOST_AUTO_TEST_CASE(what_was_taken_stays_readable_until_the_next_call, *timeout(10)) {
  ByteBuffer buffer;
  append(buffer, "taken");
  const auto taken = buffer.take(5);
  BOOST_TEST(buffer.empty());
  BOOST_TEST(text(taken) == "taken");
}

BOOST_AUTO_TEST_CASE(shrinking_gives_back_what_exceeds_the_content, *timeout(10)) {
  ByteBuffer buffer;
  append(buffer, std::string(block_size, 'x'));
  append(buffer, "rest");
  buffer.take(block_size);
  buffer.shrink();
  BOOST_TEST(text(buffer.content()) == "rest");
  append(buffer, " and more");
  BOOST_TEST(text(buffer.content()) == "rest and more");
  buffer.take(100);
  buffer.shrink();
  BOOST_TEST(buffer.empty());
  append(buffer, "again");
  BOOST_TEST(text(buffer.content()) == "again");
}

BOOST_AUTO_TEST_CASE(an_empty_buffer_lends_its_memory_to_the_next, *timeout(10)) {
  ByteBuffer first;
  append(first, "a");
  const auto* const memory = first.content().data();
  first.take(1);
  first.shrink();
  ByteBuffer second;
  append(second, "b");
  BOOST_TEST(second.content().data() == memory);
  ByteBuffer third;
  append(third, "c");
  BOOST_TEST(third.content().data() != memory);
}

namespace {

// Uses a buffer at the end of the program, as the destructor of a static server does.
struct AtExit {
  ~AtExit() {
    ByteBuffer buffer;
    append(buffer, "late");
    ByteBuffer other;
    append(other, "later");
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_static_object_may_use_buffers_at_exit, *timeout(10)) {
  static const AtExit at_exit;
  ByteBuffer buffer;
  append(buffer, "now the thread keeps a block");
  buffer.take(100);
  buffer.shrink();
  BOOST_TEST(buffer.empty());
}
