/// \file
/// `net.server:crew`, internal: which workers of a pool sleep, serve, or are blocked.
module net.server:crew;

import net.standard;
import :gate;
import :pace;

namespace net {

// The states of a pool's workers, guarded by the lock of the scheduler. A crew starts no thread and
// wakes none.
//
// Sleeping workers are on a stack. The one that fell asleep last is on top, as its caches are warm.
// Workers in handlers form a ring, the oldest first, so a search for blocked workers reads only
// the first one.
class Crew {
 public:
  struct Link {
    Link* previous = this;
    Link* next = this;
  };
  struct alignas(64) Worker : Link {
    Gate gate;                // where it sleeps
    Worker* below = nullptr;  // on the stack
    FineTime since = 0;       // when its handler was called
    bool blocked = false;     // counts as blocked, and is not in the ring
  };

  Crew() noexcept = default;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Called when a worker begins, awake, and when it ends.
  inline void begin() noexcept { ++awake_; }
  inline void end() noexcept { --awake_; }

  // Returns how many workers are awake and not blocked: these compete for the cores.
  inline std::size_t active() const noexcept { return awake_ - blocked_; }
  inline bool anybody_asleep() const noexcept { return asleep_ != nullptr; }

  // Puts the worker on the stack. The worker then waits at its gate, without the lock.
  inline void lie_down(Worker& worker) noexcept {
    worker.gate.close();
    worker.below = std::exchange(asleep_, &worker);
    --awake_;
  }
  // Takes the worker that fell asleep last off the stack. It counts as awake at once. The caller
  // opens its gate, without the lock. Precondition: a worker sleeps.
  inline Worker& take_sleeper() noexcept {
    ++awake_;
    return *std::exchange(asleep_, asleep_->below);
  }

  // Called before the worker calls a handler. `will_block`: it counts as blocked from the start.
  inline void enter_handler(Worker& worker, FineTime now, bool will_block) noexcept {
    worker.since = now;
    worker.blocked = will_block;
    ++in_handler_;
    if (will_block) {
      ++blocked_;
      return;
    }
    worker.previous = in_handlers_.previous;
    worker.next = &in_handlers_;
    in_handlers_.previous = worker.previous->next = &worker;
  }
  // Called after the handler. Returns whether the worker counted as blocked.
  inline bool leave_handler(Worker& worker) noexcept {
    --in_handler_;
    if (worker.blocked) {
      --blocked_;
    } else {
      unlink(worker);
    }
    return worker.blocked;
  }

  // Returns how many workers are in handlers, blocked or not.
  inline std::size_t in_handler() const noexcept { return in_handler_; }

  // Counts each worker as blocked whose handler has run for longer than `patience`.
  inline void notice_blocked(FineTime now, FineTime patience) noexcept {
    while (in_handlers_.next != &in_handlers_) {
      Worker& worker = static_cast<Worker&>(*in_handlers_.next);
      if (now - worker.since <= patience) return;
      unlink(worker);
      worker.blocked = true;
      ++blocked_;
      ++noticed_;
    }
  }
  // Returns how many times `notice_blocked` has counted a worker as blocked.
  inline std::uint64_t noticed() const noexcept { return noticed_; }

 private:
  inline static void unlink(Link& link) noexcept {
    link.previous->next = link.next;
    link.next->previous = link.previous;
  }

  std::size_t awake_ = 0;    // not on the stack
  std::size_t blocked_ = 0;  // of the awake ones
  std::size_t in_handler_ = 0;
  std::uint64_t noticed_ = 0;
  Worker* asleep_ = nullptr;  // the top of the stack
  Link in_handlers_;          // the ring's head: the oldest is next
};

}  // namespace net
