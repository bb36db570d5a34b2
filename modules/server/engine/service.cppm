/// \file
/// `net.server:service`, internal: what the connections of one server share.
module net.server:service;

import net.standard;
import net.socket;
import net.handler;
import :buffer_budget;
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

  inline CoarseTime draining_since() const noexcept {
    return page.draining_since.load(std::memory_order_relaxed);
  }
  inline bool draining() const noexcept { return draining_since() != 0; }
  bool stop_asked() const noexcept { return page.stop.load(std::memory_order_relaxed); }
  // A child that serves one connection.
  bool in_child() const noexcept { return child_slot != no_child; }
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

  // Throws `resource_unavailable_try_again` if there are as many children as a page counts.
  std::size_t take_child_slot();

  const ServerOptions options;
  const std::shared_ptr<HandlerMaker> maker;
  SharedPage& page;
  Counters counters{page.counters};
  HookCalls hooks;
  Wakeup wakeup;
  Poller poller;
  DueTimer timer;  // whatever has a time at which the serving thread must act asks it for that

 private:
  std::unique_ptr<ParkingLot> own_lot_;

 public:
  ParkingLot& lot;
  Registry registry{timer};
  Slots slots;
  BufferBudget buffers{options.buffer_memory, wakeup};
  Closer closer;
  const std::size_t most_rejected;  // lingering, so that rejecting stays cheap
  // Of the library; beyond, lingering sockets are closed so that the application has some as well.
  const std::size_t most_descriptors;
  static constexpr std::size_t no_child = std::numeric_limits<std::size_t>::max();
  std::size_t child_slot = no_child;  // in a child: where its outcome goes

 protected:
  explicit Service(AnyServerParts& parts);
  // In a process that was forked since: takes no part any more in what it shares with the parent.
  void close_polls() noexcept;

 private:
  const Process made_in_ = this_process();
  std::atomic<unsigned> forks_seen_{forks_by_host()};
};

}  // namespace net
