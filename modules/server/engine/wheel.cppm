/// \file
/// `net.server:wheel`, internal: a timer wheel, which finds what is due in constant time.
module net.server:wheel;

import net.standard;

namespace net {

/// Holds nodes, each filed under the time at which it must be looked at. Every operation takes
/// constant time, except `for_each`. The slowest of the others, `next_due` and `take_due`, search a
/// bitmap of 64 words.
///
/// The wheel is a circle of 4,096 buckets of 2^24 ns (16.8 ms) each, so it spans 68 s. A time is
/// rounded up to the end of its bucket. A time beyond the span is rounded down to the farthest
/// bucket: the node is due early, and the caller that takes it files it again.
///
/// `Node` is a class with the members `Node* previous`, `Node* next` and
/// `std::atomic<std::int64_t> filed_under`. The wheel does not own its nodes. Times are
/// nanoseconds of the steady clock.
///
/// Thread safety: one caller at a time. `filed_under` may be read at any time.
template <class Node>
class Wheel {
 public:
  using Time = std::int64_t;
  static constexpr Time never = std::numeric_limits<Time>::max();

  /// Adds a node that is not due at any time.
  void add(Node& node) noexcept { link(node, never); }

  /// Removes a node, wherever it is filed.
  void remove(Node& node) noexcept { unlink(node); }

  /// Files a node of the wheel under the first bucket that ends after `due`, or under none if
  /// `due` is `never`. `now` may lag behind the clock.
  void file(Node& node, Time due, Time now) noexcept {
    unlink(node);
    if (filed_ == 0) hand_ = std::max(hand_, now >> shift);
    link(node,
         due == never ? never : std::clamp((due >> shift) + 1, hand_ + 1, hand_ + size) << shift);
  }

  /// Takes a node that is due at `now` out of its bucket: it stays in the wheel, filed under no
  /// time. Returns null if none is due.
  Node* take_due(Time now) noexcept {
    const Time due = next_due();
    if (due > now) {
      hand_ = std::max(hand_, now >> shift);
      return nullptr;
    }
    hand_ = (due >> shift) - 1;
    Node& node = *buckets_.at(bucket_of(due));
    unlink(node);
    link(node, never);
    return &node;
  }

  /// Returns when the first of the nodes is due; `never` if none is.
  Time next_due() const noexcept {
    if (filed_ == 0) return never;
    // The search begins in the word of the bucket after the hand's, and returns to that word at the
    // latest: its lower bits are the farthest buckets.
    const std::size_t first = static_cast<std::size_t>(hand_ + 1) % buckets;
    std::uint64_t word = occupied_.at(first / bits) >> (first % bits) << (first % bits);
    std::size_t index = first / bits;
    while (word == 0) {
      index = (index + 1) % occupied_.size();
      word = occupied_.at(index);
    }
    const std::size_t found = index * bits + static_cast<std::size_t>(std::countr_zero(word));
    return (hand_ + 1 + static_cast<Time>((found + buckets - first) % buckets)) << shift;
  }

  /// Calls `function` for each node. `function` may remove that node.
  template <class F>
  void for_each(F function) {
    for_each_of(unfiled_, function);
    for (std::size_t index = 0; index < occupied_.size(); ++index) {
      for (std::uint64_t left = occupied_.at(index); left != 0; left &= left - 1) {
        for_each_of(buckets_.at(index * bits + static_cast<std::size_t>(std::countr_zero(left))),
                    function);
      }
    }
  }

 private:
  static constexpr int shift = 24;
  static constexpr std::size_t buckets = 4096;
  static constexpr Time size = buckets;
  static constexpr std::size_t bits = 64;

  static constexpr std::size_t bucket_of(Time time) noexcept {
    return static_cast<std::size_t>(time >> shift) % buckets;
  }

  template <class F>
  static void for_each_of(Node* first, F& function) {
    for (Node *node = first, *next = nullptr; node != nullptr; node = next) {
      next = node->next;
      function(*node);
    }
  }

  Node*& head_of(Time time) noexcept {
    return time == never ? unfiled_ : buckets_.at(bucket_of(time));
  }

  void link(Node& node, Time time) noexcept {
    Node*& head = head_of(time);
    node.previous = nullptr;
    node.next = head;
    if (head != nullptr) head->previous = &node;
    head = &node;
    node.filed_under.store(time, std::memory_order_relaxed);
    if (time == never) return;
    ++filed_;
    occupied_.at(bucket_of(time) / bits) |= bit_of(time);
  }

  void unlink(Node& node) noexcept {
    const Time time = node.filed_under.load(std::memory_order_relaxed);
    Node*& head = head_of(time);
    (node.previous != nullptr ? node.previous->next : head) = node.next;
    if (node.next != nullptr) node.next->previous = node.previous;
    if (time == never) return;
    --filed_;
    if (head == nullptr) occupied_.at(bucket_of(time) / bits) &= ~bit_of(time);
  }

  static constexpr std::uint64_t bit_of(Time time) noexcept {
    return std::uint64_t{1} << (bucket_of(time) % bits);
  }

  std::array<Node*, buckets> buckets_{};
  std::array<std::uint64_t, buckets / bits> occupied_{};  // a bit for each bucket
  Node* unfiled_ = nullptr;                               // the nodes without a time
  std::size_t filed_ = 0;                                 // the number of nodes with a time
  Time hand_ = 0;  // the last bucket that was emptied, counted from the clock's zero
};

}  // namespace net
