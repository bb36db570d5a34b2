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

// Ties a child to its connection. The thread that takes the connection out of the tie ends the
// connection.
struct Child::Tie {
  std::mutex mutex;
  Connection* connection = nullptr;
  int process = 0;
};

// Sends a signal to a child by its pidfd. Returns false if that fails, as for a child that was
// reaped.
bool signal_child(int descriptor, int signal) noexcept;

// The children that serve connections. Owns the shared memory in which each child reports how its
// connection ended; the parent trusts nothing that it reads there. In a child, this object writes
// that child's report.
class ChildTable {
 public:
  ChildTable(Registry& registry, const DueTimer& timer) noexcept
      : registry_(registry), timer_(timer) {}
  ChildTable(const ChildTable&) = delete;
  ChildTable& operator=(const ChildTable&) = delete;

  SharedCounters& counters() const noexcept { return shared_->counters; }
  Silence& silence(std::size_t slot) const noexcept { return shared_->slots.at(slot).silence; }

  // --- in the parent ---
  // Takes a slot for a child. Throws `resource_unavailable_try_again` if none is left.
  std::size_t take_slot();
  // Notes the child's pidfd, by which `kill` and `cut` signal the child.
  void note(std::size_t slot, int descriptor) noexcept;
  // From here on, `cut` ends this child too. And when the child's handler gives its descriptor of
  // the connection away, the parent closes its own copy, so that the client sees the end.
  void follow(std::size_t slot, std::shared_ptr<Child::Tie> tie) noexcept;
  // Forgets the pidfd. Once this has returned, `kill` does not use it any more.
  void forget(std::size_t slot) noexcept;
  void free_slot(std::size_t slot) noexcept;
  // Returns what the child reports of its connection. If the child gave the connection away, closes
  // the parent's descriptor of it.
  Told take_told(std::size_t slot, Connection& connection) noexcept;
  // On the serving thread: closes the parent's copies of the sockets that children have given away.
  void close_given_away() noexcept;
  // Returns whether a child has asked for a shutdown since the last call.
  bool take_stop() noexcept { return shared_->stop.exchange(0) == Told::mark; }
  // Kills the children that are left, and ends their connections. Does not wait for their
  // processes, because the system takes a while to end hundreds.
  void cut() noexcept;
  // Kills the children. May be called from any thread or signal handler.
  void kill() noexcept;

  // --- in a child ---
  inline bool in_child() const noexcept { return own_slot_ != no_slot; }
  void become_child(std::size_t slot) noexcept { own_slot_ = slot; }
  void tell(const Told& told) noexcept;
  // Reports that the handler has given its socket away. The caller then wakes the parent.
  void tell_given_away() noexcept;
  void ask_for_stop() noexcept { shared_->stop.store(Told::mark); }
  // Makes the shared memory read-only for this process.
  void protect() const noexcept { shared_.protect(); }

 private:
  // What this process itself knows of a child, whatever the child writes to shared memory. The
  // descriptor is a pidfd or one of these values.
  static constexpr int free = -1;
  static constexpr int taken = -2;  // has no child yet, or no child any more
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
  std::atomic<int> killing_{0};  // calls of `kill` that read `children_` now
  std::size_t own_slot_ = no_slot;
};

}  // namespace net
