/// \file
/// `net.server:shared_page`, internal: the memory that a server shares with its children.
module net.server:shared_page;

import net.standard;
import :counters;
import :hooks;
import :poller;

namespace net {

// Records since when a connection has waited for its client; a time is 0 if the connection does not
// wait. The record of a child is in the memory that the child shares with its parent.
struct Silence {
  std::atomic<CoarseTime> between{0};  // for a request, in `run`
  std::atomic<CoarseTime> reading{0};  // in a read of the handler
  // A `ClientSilence::Wait`. Not 0: the connection waits within a request or an answer. Set before
  // `between`.
  std::atomic<std::uint8_t> amid{0};
  std::atomic<std::uint8_t> ended{0};  // not 0: the server has ended the input meanwhile
};

// What a child reports of its connection, in one word. The word contains a mark, so that a stray
// write of the child is very unlikely to look like a report.
class Told {
 public:
  constexpr Told() noexcept = default;
  constexpr Told(Outcome outcome, bool given_away, bool said_last_word = false) noexcept
      : outcome_(outcome), given_away_(given_away), said_last_word_(said_last_word) {}
  // A word that no child can have made counts as no report.
  static constexpr Told from(std::uint64_t word) noexcept {
    const std::uint64_t outcome = word & outcome_bits;
    constexpr std::uint64_t bits = outcome_bits | given_away_bit | last_word_bit;
    if ((word & ~bits) != mark || outcome >= outcomes) return {};
    return {static_cast<Outcome>(outcome), (word & given_away_bit) != 0,
            (word & last_word_bit) != 0};
  }
  constexpr std::uint64_t word() const noexcept {
    return mark | static_cast<std::uint64_t>(outcome_) | (given_away_ ? given_away_bit : 0) |
           (said_last_word_ ? last_word_bit : 0);
  }

  constexpr Outcome outcome() const noexcept { return outcome_; }
  // Returns whether the handler has closed its socket or left it to another owner.
  constexpr bool given_away() const noexcept { return given_away_; }

  // Returns whether the child has sent an answer to a malformed, late or too large request. The
  // client gets time to read that answer.
  constexpr bool said_last_word() const noexcept { return said_last_word_; }

  static constexpr std::uint64_t mark = 0x6e65'7473'6572'7600;

 private:
  static constexpr std::uint64_t given_away_bit = 0x80;
  static constexpr std::uint64_t last_word_bit = 0x40;
  static constexpr std::uint64_t outcome_bits = 0x3f;

  Outcome outcome_ = Outcome::none;
  bool given_away_ = false;
  bool said_last_word_ = false;
};

inline constexpr std::size_t most_children = 1024;

// Memory in which the children of a server report what they count and ask for. A child with a wild
// pointer may write anything anywhere in it, so the parent trusts nothing here.
struct FromChildren {
  struct Slot {
    std::atomic<std::uint64_t> told{0};
    Silence silence;
  };
  std::atomic<std::uint64_t> stop{0};  // `Told::mark`: a child asks for a shutdown
  // not 0: a child has given its socket away since the last look
  std::atomic<std::uint8_t> given_away{0};
  SharedCounters counters;
  std::array<Slot, most_children> slots;
};

// Memory in which a server informs its children, which cannot write to it.
struct FromParent {
  std::atomic<bool> stop{false};
  std::atomic<CoarseTime> draining_since{0};
};

// Maps memory for a T that a process shares with its children.
template <class T>
class SharedWithChildren {
 public:
  SharedWithChildren();
  SharedWithChildren(const SharedWithChildren&) = delete;
  SharedWithChildren& operator=(const SharedWithChildren&) = delete;
  ~SharedWithChildren();
  T& operator*() const noexcept { return object_; }
  T* operator->() const noexcept { return &object_; }
  // Makes the memory read-only for this process.
  void protect() const noexcept;

 private:
  T& object_;
};

extern template class SharedWithChildren<FromChildren>;
extern template class SharedWithChildren<FromParent>;

}  // namespace net
