/// \file
/// `net.server:service`, internal: what the connections of one server share.
module net.server:service;

import net.standard;
import net.socket;
import net.handler;
import :buffer_budget;
import :child;
import :closer;
import :counters;
import :due_timer;
import :forked;
import :handler_binding;
import :hook_calls;
import :options;
import :parking_lot;
import :poller;
import :registry;
import :server_parts;
import :shared_page;
import :slots;

namespace net {

// What a child's connection hangs by: whoever takes it out ends it.
struct Child::Tie {
  std::mutex mutex;
  Connection* connection = nullptr;
  int process = 0;
};

// Sends a child a signal by its pidfd; false if it has ended.
bool signal_child(int descriptor, int signal) noexcept;

// The server as its connections and its listeners see it.
class Service {
 public:
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  virtual ~Service();

  // What handlers and policies ask of the server. From any thread.
  virtual void shutdown() noexcept = 0;
  virtual Stats stats() = 0;
  // On the serving thread.
  virtual bool evict_for_waiting() noexcept = 0;

  // Since when the server drains; 0 if it does not.
  inline CoarseTime draining_since() const noexcept {
    return from_parent->draining_since.load(std::memory_order_relaxed);
  }
  inline bool draining() const noexcept { return draining_since() != 0; }
  inline bool stop_asked() const noexcept {
    return stop_.load(std::memory_order_relaxed) ||
           (in_child() && from_parent->stop.load(std::memory_order_relaxed));
  }
  // A child that serves one connection.
  inline bool in_child() const noexcept { return child_slot != no_child; }
  // Has its own lot, which the serving thread polls; else its policy polls one.
  bool polls_lot() const noexcept { return own_lot_ != nullptr; }
  // The server belongs to the process that made it; what it has there (epoll instances, eventfds,
  // the page, threads) may not be touched elsewhere.
  inline bool forked_away() const noexcept { return made_in_ != this_process(); }
  Process made_in() const noexcept { return made_in_; }
  // Whether this process has forked since it made or last served the server, and so may have left
  // it to a child.
  bool forked() const noexcept { return forks_seen_.load() != forks_by_host(); }
  void note_forks() noexcept { forks_seen_.store(forks_by_host()); }
  bool lingers_enough() const noexcept { return closer.size() >= most_rejected; }

  // In the list, each connection is met by whoever looks at all.
  void add(Registered& connection) noexcept;
  // Takes a connection out of the list: no sweep and no cut meets it any more.
  void unlink(Registered& connection) noexcept;
  // Counts a connection out; the last that its end touches of the server.
  void gone() noexcept;

  // A child's place in what it shares with the parent. Throws `resource_unavailable_try_again` if
  // there is none left.
  std::size_t take_child_slot();
  // In the parent. The child's descriptor, a pidfd, is for `kill_children`.
  void note_child(std::size_t slot, int descriptor) noexcept;
  // From here on our copy of the connection's descriptor is closed when the child's handler has
  // given its own away, so that the client sees the end; and `cut_children` meets it.
  void follow_child(std::size_t slot, std::shared_ptr<Child::Tie> tie) noexcept;
  // Once this has returned, nobody uses the descriptor any more.
  void forget_child(std::size_t slot) noexcept;
  void free_child_slot(std::size_t slot) noexcept;
  // What the child says of its connection, whose descriptor is closed if it was given away.
  Told take_told(std::size_t slot, Connection& connection) noexcept;
  // From any thread or signal handler.
  void kill_children() noexcept;

  const ServerOptions options;
  const std::shared_ptr<HandlerMaker> maker;
  SharedWithChildren<FromChildren> from_children;
  SharedWithChildren<FromParent> from_parent;
  Counters counters{from_children->counters};
  HookCalls hooks;
  Wakeup wakeup;
  Poller poller;
  DueTimer timer;  // whatever has a time at which the serving thread must act asks it for that

 private:
  std::unique_ptr<OwnParkingLot> own_lot_;

 public:
  OwnParkingLot& lot;
  Registry registry{timer};
  Slots slots;
  BufferBudget buffers{options.buffer_memory, wakeup};
  // Held while a connection is accepted and a listener opened, until the descriptor is listed in
  // OwnDescriptors: no fork comes in between.
  std::mutex opening;
  Closer closer;
  const std::size_t most_rejected;  // lingering, so that rejecting stays cheap
  // Of the library; beyond, lingering sockets are closed so that the application has some as well.
  const std::size_t most_descriptors;
  static constexpr std::size_t no_child = std::numeric_limits<std::size_t>::max();
  std::size_t child_slot = no_child;  // in a child: where its outcome goes

 protected:
  explicit Service(AnyServerParts& parts);
  void set_stop(bool stop) noexcept;
  void set_draining(CoarseTime now) noexcept { from_parent->draining_since.store(now); }
  // On the serving thread: closes our copies of what children have given away.
  void close_given_away() noexcept;
  // Kills the children that are left, and ends their connections. Their processes are left to be
  // collected: the system takes its time to end hundreds.
  void cut_children() noexcept;
  // In a process that was forked since: takes no part any more in what it shares with the parent.
  void close_polls() noexcept;

 private:
  // What this process knows of its children, whatever they write to shared memory: a pidfd for
  // each slot, or one of these.
  static constexpr int free_slot = -1;
  static constexpr int taken_slot = -2;  // without a child, yet or any more
  struct OwnChild {
    std::atomic<int> descriptor{free_slot};
    std::shared_ptr<Child::Tie> tie;  // under the registry's lock
  };
  std::shared_ptr<Child::Tie> tie_of(std::size_t slot) noexcept;
  void close_if_given_away(std::size_t slot) noexcept;
  std::array<OwnChild, most_children> children_;
  std::atomic<int> killing_{0};  // who is reading them

  std::atomic<bool> stop_{false};
  const Process made_in_ = this_process();
  std::atomic<unsigned> forks_seen_{forks_by_host()};
};

}  // namespace net
