/// \file
/// `net.server:child_table`, internal: the children of a server, and what they share with it.
module net.server:child_table;

import net.standard;
import net.socket;
import :child;
import :due_timer;
import :registry;
import :shared_page;

namespace net {

// What a child's connection hangs by: the thread that takes it out ends it.
struct Child::Tie {
  std::mutex mutex;
  Connection* connection = nullptr;
  int process = 0;
};

// Sends a child a signal by its pidfd; false if it has ended.
bool signal_child(int descriptor, int signal) noexcept;

// Knows the children that serve connections, and owns the memory in which they tell what becomes of
// these; nothing that is read there is trusted. In a child, it tells.
class ChildTable {
 public:
  ChildTable(Registry& registry, const DueTimer& timer) noexcept
      : registry_(registry), timer_(timer) {}
  ChildTable(const ChildTable&) = delete;
  ChildTable& operator=(const ChildTable&) = delete;

  SharedCounters& counters() const noexcept { return shared_->counters; }
  Silence& silence(std::size_t slot) const noexcept { return shared_->slots.at(slot).silence; }

  // --- in the parent ---
  // A child's place. Throws `resource_unavailable_try_again` if there is none left.
  std::size_t take_slot();
  // The child's descriptor, a pidfd, is for `kill`.
  void note(std::size_t slot, int descriptor) noexcept;
  // From here on our copy of the connection's descriptor is closed when the child's handler has
  // given its own away, so that the client sees the end; and `cut` meets it.
  void follow(std::size_t slot, std::shared_ptr<Child::Tie> tie) noexcept;
  // Once this has returned, nobody uses the descriptor any more.
  void forget(std::size_t slot) noexcept;
  void free_slot(std::size_t slot) noexcept;
  // What the child says of its connection, whose descriptor is closed if it was given away.
  Told take_told(std::size_t slot, Connection& connection) noexcept;
  // On the serving thread: closes our copies of what children have given away.
  void close_given_away() noexcept;
  // Whether a child has asked for a shutdown since the last look.
  bool take_stop() noexcept { return shared_->stop.exchange(0) == Told::mark; }
  // Kills those that are left, and ends their connections. Their processes are left to be
  // collected: the system takes its time to end hundreds.
  void cut() noexcept;
  // From any thread or signal handler.
  void kill() noexcept;

  // --- in a child ---
  inline bool in_child() const noexcept { return own_slot_ != no_slot; }
  void become_child(std::size_t slot) noexcept { own_slot_ = slot; }
  void tell(const Told& told) noexcept;
  // That the handler has given its socket away; the parent is to be woken.
  void tell_given_away() noexcept;
  void ask_for_stop() noexcept { shared_->stop.store(Told::mark); }
  // Leaves this process nothing to write to there.
  void protect() const noexcept { shared_.protect(); }

 private:
  // What this process knows of a child, whatever that writes to shared memory: a pidfd, or one of
  // these.
  static constexpr int free = -1;
  static constexpr int taken = -2;  // without a child, yet or any more
  struct OwnChild {
    std::atomic<int> descriptor{free};
    std::shared_ptr<Child::Tie> tie;  // under the registry's lock
  };
  static constexpr std::size_t no_slot = std::numeric_limits<std::size_t>::max();
  std::shared_ptr<Child::Tie> tie_of(std::size_t slot) noexcept;
  void close_if_given_away(std::size_t slot) noexcept;

  Registry& registry_;
  const DueTimer& timer_;
  SharedWithChildren<FromChildren> shared_;
  std::array<OwnChild, most_children> children_;
  std::atomic<int> killing_{0};  // who is reading them
  std::size_t own_slot_ = no_slot;
};

}  // namespace net
