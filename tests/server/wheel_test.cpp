// The wheel of deadlines. No test can import it, so this file is a part of its module.

module;

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <vector>

module net.server:wheel_test;

import :wheel;

using boost::unit_test::timeout;

// A named namespace, because other units of the module may see what a partition declares.
namespace wheel_test {

struct Node {
  Node* previous = nullptr;
  Node* next = nullptr;
  std::atomic<std::int64_t> filed_under{0};
  std::int64_t limit = 0;
};

using Wheel = net::Wheel<Node>;
using Time = Wheel::Time;

inline constexpr Time second = 1'000'000'000;
inline constexpr Time bucket = Time{1} << 24;
inline constexpr Time span = 4096 * bucket;
// Some time after the clock's zero.
inline constexpr Time start = 12'345 * second;

struct Filled {
  Node& add(Time due, Time now = start) {
    Node& node = nodes.emplace_back();
    wheel.add(node);
    file(node, due, now);
    return node;
  }
  void file(Node& node, Time due, Time now) {
    node.limit = due;
    wheel.file(node, due, now);
  }
  std::size_t size() {
    std::size_t count = 0;
    wheel.for_each([&](Node&) { ++count; });
    return count;
  }

  std::deque<Node> nodes;
  Wheel wheel;
};

}  // namespace wheel_test

using namespace wheel_test;

BOOST_FIXTURE_TEST_SUITE(wheel, Filled)

BOOST_AUTO_TEST_CASE(an_empty_wheel_is_never_due, *timeout(10)) {
  BOOST_TEST(wheel.next_due() == Wheel::never);
  BOOST_TEST(wheel.take_due(start) == nullptr);
  BOOST_TEST(size() == 0U);
}

BOOST_AUTO_TEST_CASE(a_node_is_due_within_a_bucket_after_its_time, *timeout(10)) {
  for (const Time away : {Time{0}, Time{1}, bucket - 1, bucket, second, 20 * second, 60 * second}) {
    Filled filled;
    Node& node = filled.add(start + away);
    const Time due = filled.wheel.next_due();
    BOOST_TEST(due > start + away);
    BOOST_TEST(due <= start + away + bucket);
    BOOST_TEST(filled.wheel.take_due(due - 1) == nullptr);
    BOOST_TEST(filled.wheel.take_due(due) == &node);
    BOOST_TEST(node.filed_under == Wheel::never);
    BOOST_TEST(filled.wheel.take_due(due) == nullptr);
    BOOST_TEST(filled.size() == 1U);
  }
}

BOOST_AUTO_TEST_CASE(a_node_whose_time_has_passed_is_due_at_once, *timeout(10)) {
  Node& old = add(start - 10 * second);
  Node& zero = add(0);
  BOOST_TEST(wheel.next_due() <= start + bucket);
  Node* const first = wheel.take_due(start + bucket);
  Node* const second_one = wheel.take_due(start + bucket);
  BOOST_TEST((first == &old || first == &zero));
  BOOST_TEST((second_one == &old || second_one == &zero));
  BOOST_TEST(first != second_one);
}

BOOST_AUTO_TEST_CASE(a_node_without_a_time_is_never_due, *timeout(10)) {
  Node& node = add(Wheel::never);
  BOOST_TEST(node.filed_under == Wheel::never);
  BOOST_TEST(wheel.next_due() == Wheel::never);
  BOOST_TEST(wheel.take_due(start + 1'000'000 * second) == nullptr);
  BOOST_TEST(size() == 1U);
  wheel.file(node, start + second, start);
  wheel.file(node, Wheel::never, start);
  BOOST_TEST(wheel.next_due() == Wheel::never);
}

BOOST_AUTO_TEST_CASE(a_time_beyond_the_span_comes_up_early_and_not_late, *timeout(10)) {
  for (const Time limit : {start + span, start + 3600 * second, Wheel::never - 1}) {
    Node& node = add(limit);
    BOOST_TEST(wheel.next_due() > start + span - 2 * bucket);
    BOOST_TEST(wheel.next_due() <= start + span + bucket);
    wheel.remove(node);
  }
  Node& node = add(start + 3600 * second);
  int visits = 0;
  Time now = start;
  while (now < node.limit) {
    now = wheel.next_due();
    BOOST_TEST_REQUIRE(wheel.take_due(now) == &node);
    ++visits;
    if (now < node.limit) wheel.file(node, node.limit, now);
  }
  BOOST_TEST(now <= node.limit + bucket);
  BOOST_TEST(visits == 3600 / 68 + 1);
}

BOOST_AUTO_TEST_CASE(the_first_is_found_wherever_the_wheel_stands, *timeout(10)) {
  for (Time turned = 0; turned < 2 * span; turned += span / 61) {
    Filled filled;
    const Time now = start + turned;
    filled.add(now + 40 * second, now);
    Node& first = filled.add(now + 30 * second, now);
    filled.add(now + 60 * second, now);
    const Time due = filled.wheel.next_due();
    BOOST_TEST(due > first.limit);
    BOOST_TEST(due <= first.limit + bucket);
    BOOST_TEST(filled.wheel.take_due(due) == &first);
  }
}

BOOST_AUTO_TEST_CASE(nodes_can_be_removed_and_moved_within_their_bucket, *timeout(10)) {
  Node& one = add(start + second);
  Node& two = add(start + second);
  Node& three = add(start + second);
  BOOST_TEST(size() == 3U);
  wheel.remove(two);
  BOOST_TEST(size() == 2U);
  file(one, start + 2 * second, start);
  BOOST_TEST(wheel.take_due(start + second + bucket) == &three);
  BOOST_TEST(wheel.take_due(start + second + bucket) == nullptr);
  wheel.remove(three);
  BOOST_TEST(wheel.take_due(start + 2 * second + bucket) == &one);
  wheel.remove(one);
  BOOST_TEST(size() == 0U);
  BOOST_TEST(wheel.next_due() == Wheel::never);
}

BOOST_AUTO_TEST_CASE(for_each_meets_every_node_and_may_remove_it, *timeout(10)) {
  for (int i = 0; i < 300; ++i) add(i % 3 == 0 ? Wheel::never : start + i % 100 * second / 2);
  std::map<const Node*, int> met;
  wheel.for_each([&](Node& node) {
    ++met[&node];
    wheel.remove(node);
  });
  BOOST_TEST(met.size() == 300U);
  for (const auto& [node, times] : met) BOOST_TEST(times == 1);
  BOOST_TEST(size() == 0U);
}

// Compares the wheel with a model. No node is early, and none is later than a bucket, whatever was
// filed, moved and removed, and however long the wheel was not looked at.
BOOST_AUTO_TEST_CASE(it_agrees_with_a_sorted_list, *timeout(30)) {
  std::mt19937_64 random(20240917);
  const auto below = [&](Time most) {
    return static_cast<Time>(random() % static_cast<std::uint64_t>(most));
  };
  std::vector<Node*> held;
  Time now = start;
  for (int i = 0; i < 2000; ++i) held.push_back(&add(now + below(200 * second), now));
  std::size_t expired = 0;
  std::size_t late = 0;
  for (int round = 0; round < 5000; ++round) {
    for (int i = 0; i < 20; ++i) {
      Node& node = *held.at(static_cast<std::size_t>(below(2000)));
      // As for a connection that parks: its limit moves, and it is filed again only if the new
      // limit is earlier.
      node.limit = now + below(round % 7 == 0 ? 200 * second : 60 * second);
      if (node.limit < node.filed_under) wheel.file(node, node.limit, now);
    }
    now += round % 100 == 0 ? below(100 * second) : below(second / 5);
    while (Node* const node = wheel.take_due(now)) {
      if (node->limit <= now) {
        ++expired;
        node->limit = now + 1 + below(100 * second);
      }
      wheel.file(*node, node->limit, now);
    }
    BOOST_TEST_REQUIRE(wheel.next_due() > now);
    for (const Node* const node : held) late += node->limit <= now - bucket ? 1 : 0;
  }
  BOOST_TEST(late == 0U);
  BOOST_TEST(expired > 1000U);
  BOOST_TEST(size() == 2000U);
}

BOOST_AUTO_TEST_SUITE_END()
