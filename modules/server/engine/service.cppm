/// \file
/// `net.server:service`, internal: what the connections of one server share.
module net.server:service;

import net.standard;
import net.socket;
import net.handler;
import :buffer_budget;
import :child_table;
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
  inline bool in_child() const noexcept { return children.in_child(); }
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

  // From any thread or signal handler.
  void kill_children() noexcept {
    if (!forked_away()) children.kill();
  }

  // In the list, each connection is met by every walk over all.
  void add(Registered& connection) noexcept;
  // Takes a connection out of the list: no sweep and no cut meets it any more.
  void unlink(Registered& connection) noexcept;
  // Counts a connection out; the last that its end touches of the server.
  void gone() noexcept;

  const ServerOptions options;
  const std::shared_ptr<HandlerMaker> maker;
  SharedWithChildren<FromParent> from_parent;
  Wakeup wakeup;
  Poller poller;
  DueTimer timer;  // whatever has a time at which the serving thread must act asks it for that
  Registry registry{timer};
  ChildTable children{registry, timer};
  Counters counters{children.counters()};
  HookCalls hooks;

 private:
  std::unique_ptr<OwnParkingLot> own_lot_;

 public:
  OwnParkingLot& lot;
  Slots slots;
  BufferBudget buffers{options.buffer_memory, wakeup};
  // Held while a connection is accepted and a listener opened, until the descriptor is listed in
  // OwnDescriptors: no fork comes in between.
  std::mutex opening;
  Closer closer;
  // Of the library; beyond, lingering sockets are closed so that the application has some as well.
  const std::size_t most_descriptors;

 protected:
  explicit Service(AnyServerParts& parts);
  void set_stop(bool stop) noexcept;
  void set_draining(CoarseTime now) noexcept { from_parent->draining_since.store(now); }
  // In a process that was forked since: takes no part any more in what it shares with the parent.
  void close_polls() noexcept;

 private:
  std::atomic<bool> stop_{false};
  const Process made_in_ = this_process();
  std::atomic<unsigned> forks_seen_{forks_by_host()};
};

}  // namespace net
