/// \file
/// `net.server:shared_page`, internal: what a server shares with its children.
module net.server:shared_page;

import net.standard;
import :counters;
import :poller;

namespace net {

// Since when a connection waits for its client, 0 if it does not; in a child, on the page that it
// shares with its parent.
struct Silence {
  std::atomic<CoarseTime> between{0};  // for a request, in `run`
  std::atomic<CoarseTime> reading{0};  // in a read of the handler
  std::atomic<bool> amid{false};       // for the rest of a request; set before `between`
  std::atomic<bool> ended{false};      // the server has ended the input meanwhile
};

// Shared memory: what a child counts and asks must reach its parent.
struct SharedPage {
  struct ChildSlot {
    std::atomic<int> process{0};  // 0: free; -1: being taken, or being given back
    std::atomic<Outcome> outcome{Outcome::none};
    std::atomic<bool> detached{false};  // by the handler, which left it to somebody else
    Silence silence;
  };
  static constexpr std::size_t most_children = 1024;

  std::atomic<bool> stop{false};
  std::atomic<CoarseTime> draining_since{0};
  SharedCounters counters;
  std::array<ChildSlot, most_children> children;
};

}  // namespace net
