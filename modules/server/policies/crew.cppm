/// \file
/// `net.server:crew`, internal: which workers of a pool sleep, serve, or are blocked.
module net.server:crew;

import net.standard;
import :gate;
import :pace;

namespace net {

// The state of a pool's workers, guarded by the pool's lock. It starts no thread and wakes none.
//
// Sleeping workers are on a stack, the one that fell asleep last on top, as its caches are warm.
// Workers in handlers form a ring, the oldest first, so the search for blocked ones looks at the
// first one only.
class Crew {
 public:
  struct Link {
    Link* previous = this;
    Link* next = this;
  };
  struct alignas(64) Worker : Link {
    Gate gate;                // where the worker sleeps
    Worker* below = nullptr;  // the next worker on the stack
    FineTime since = 0;       // when its handler was called
    bool blocked = false;     // counts as blocked, and is not in the ring
  };

  Crew() noexcept = default;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // `begin` adds an awake worker; `end` removes one.
  inline void begin() noexcept { ++awake_; }
  inline void end() noexcept { --awake_; }

  // Returns how many are awake and not blocked: these compete for the cores.
  inline std::size_t active() const noexcept { return awake_ - blocked_; }
  inline bool anybody_asleep() const noexcept { return asleep_ != nullptr; }

  // Puts the worker on the stack. The worker must then wait at its gate, without the lock.
  inline void lie_down(Worker& worker) noexcept {
    worker.gate.close();
    worker.below = std::exchange(asleep_, &worker);
    --awake_;
  }
  // Takes the worker that fell asleep last. It counts as awake at once; the caller opens its gate,
  // without the lock. Precondition: a worker sleeps.
  inline Worker& take_sleeper() noexcept {
    ++awake_;
    return *std::exchange(asleep_, asleep_->below);
  }

  // Call before a handler is called; `will_block` if the worker counts as blocked from the start.
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
  // Call after the handler has returned. Returns whether the worker counted as blocked.
  inline bool leave_handler(Worker& worker) noexcept {
    --in_handler_;
    if (worker.blocked) {
      --blocked_;
    } else {
      unlink(worker);
    }
    return worker.blocked;
  }

  // Returns how many are in handlers, blocked or not.
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
  // Returns how many times a worker was noticed so far.
  inline std::uint64_t noticed() const noexcept { return noticed_; }

 private:
  inline static void unlink(Link& link) noexcept {
    link.previous->next = link.next;
    link.next->previous = link.previous;
  }

  std::size_t awake_ = 0;    // workers that are not on the stack
  std::size_t blocked_ = 0;  // awake workers that are blocked
  std::size_t in_handler_ = 0;
  std::uint64_t noticed_ = 0;
  Worker* asleep_ = nullptr;  // the top of the stack
  Link in_handlers_;          // the head of the ring: `next` is the oldest
};

}  // namespace net
