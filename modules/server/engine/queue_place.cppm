/// \file
/// `net.server:queue_place`, internal: the place of a connection in the queue of a policy.
module net.server:queue_place;

import net.standard;
import :coarse_clock;

namespace net {

// A connection's place in a `RequestQueue`. The wait of a conversation or a datagram in the queue
// has a time limit, because the policy may never have a free worker for it. May be used from any
// thread.
class QueuePlace {
 public:
  // Begins to wait, until `limit` at most.
  inline void join(CoarseTime limit) noexcept {
    limit_.store(limit);
    rejoin();
  }
  // Waits again, until the same limit.
  inline void rejoin() noexcept { waits_.store(true); }
  inline void leave() noexcept { waits_.store(false); }
  inline bool waits() const noexcept { return waits_.load(std::memory_order_relaxed); }
  inline CoarseTime limit() const noexcept { return limit_.load(); }
  inline bool is_overdue(CoarseTime now) const noexcept { return waits() && now >= limit(); }
  // Makes the wait overdue, so that no thread runs the connection any more.
  inline void make_overdue() noexcept { limit_.store(0); }

  // Notes that the policy has no slot for the connection, and has asked the server to free one.
  inline void want_place() noexcept { wants_place_.store(true, std::memory_order_relaxed); }
  inline bool wants_place() const noexcept { return wants_place_.load(std::memory_order_relaxed); }
  inline void got_place() noexcept {
    if (wants_place()) [[unlikely]] {
      wants_place_.store(false, std::memory_order_relaxed);
    }
  }

 private:
  std::atomic<CoarseTime> limit_{0};
  std::atomic<bool> waits_{false};
  std::atomic<bool> wants_place_{false};
};

}  // namespace net
