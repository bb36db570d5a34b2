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

  // Functions for handlers and policies. May be called from any thread.
  virtual void shutdown() noexcept = 0;
  virtual Stats stats() = 0;
  // Called on the serving thread.
  virtual bool evict_for_waiting() noexcept = 0;

  // Returns since when the server has been draining; 0 if it is not.
  inline CoarseTime draining_since() const noexcept {
    return from_parent->draining_since.load(std::memory_order_relaxed);
  }
  inline bool draining() const noexcept { return draining_since() != 0; }
  inline bool stop_asked() const noexcept {
    return stop_.load(std::memory_order_relaxed) ||
           (in_child() && from_parent->stop.load(std::memory_order_relaxed));
  }
  // Returns whether this process is a child that serves one connection.
  inline bool in_child() const noexcept { return children.in_child(); }
  // Returns whether the server has its own parking lot, which the serving thread polls. Otherwise
  // its policy has a lot and polls it.
  bool polls_lot() const noexcept { return own_lot_ != nullptr; }
  // Returns whether this process is not the one that made the server. If so, it must not use the
  // server's epoll instances, eventfds, shared memory and threads, which belong to the other
  // process. Only a child that serves one connection uses the shared memory, and signals `wakeup`.
  inline bool forked_away() const noexcept { return made_in_ != this_process(); }
  Process made_in() const noexcept { return made_in_; }
  // Returns whether this process has forked since it made or last served the server. A child may
  // then have taken over the server.
  bool forked() const noexcept { return forks_seen_.load() != forks_by_host(); }
  void note_forks() noexcept { forks_seen_.store(forks_by_host()); }

  // May be called from any thread or signal handler.
  void kill_children() noexcept {
    if (!forked_away()) children.kill();
  }

  // Adds a connection to the registry. Every walk over all connections visits it from then on.
  void add(Registered& connection) noexcept;
  // Removes a connection from the registry: no sweep and no cut visits it any more.
  void unlink(Registered& connection) noexcept;
  // Subtracts an ended connection from the count. The end of a connection does not touch the server
  // after this call.
  void gone() noexcept;

  const ServerOptions options;
  const std::shared_ptr<HandlerMaker> maker;
  SharedWithChildren<FromParent> from_parent;
  Wakeup wakeup;
  Poller poller;
  DueTimer timer;  // wakes up the serving thread at the next deadline
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
  // Held while a connection is accepted or a listener opened, until its descriptor is listed in
  // OwnDescriptors, so that no fork happens in between.
  std::mutex opening;
  Closer closer;
  // The library's share of the descriptors. Above it, lingering sockets are closed, so that some
  // descriptors are left for the application.
  const std::size_t most_descriptors;

 protected:
  explicit Service(AnyServerParts& parts);
  void set_stop(bool stop) noexcept;
  void set_draining(CoarseTime now) noexcept { from_parent->draining_since.store(now); }
  // In a forked process: closes the epoll instances, eventfds, timer and lingering sockets that it
  // shares with the parent.
  void close_polls() noexcept;

 private:
  std::atomic<bool> stop_{false};
  const Process made_in_ = this_process();
  std::atomic<unsigned> forks_seen_{forks_by_host()};
};

}  // namespace net
