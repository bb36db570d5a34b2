/// \file
/// `net.server:send_progress`, internal: how a client takes an answer that waits for it.
module net.server:send_progress;

import net.standard;
import :coarse_clock;

namespace net {

// Compares how much of an answer the client had not taken at each look, with us or in the kernel's
// queue. Epoll tells of room only when a good part of that queue is free, so a slow reader is seen
// here alone. For the owner of the connection.
class SendProgress {
 public:
  inline void look(std::uint64_t untaken, CoarseTime now) noexcept {
    if (untaken_ == 0) {
      progress_at_ = behind_since_ = now;
    } else if (untaken < untaken_) {
      progress_at_ = now;
      behind_since_ = std::min(now, behind_since_ + time_for(untaken_ - untaken));
    }
    untaken_ = untaken;
  }
  // Nothing waits for the client any more.
  inline void over() noexcept { untaken_ = 0; }

  // When it last took some.
  inline CoarseTime progress_at() const noexcept { return progress_at_; }
  // Since when a client that takes the fair rate would have been behind as far as this one is: now
  // for a fast one, and the begin of its answer for one that takes nothing.
  inline CoarseTime behind_since() const noexcept { return behind_since_; }

  static constexpr std::int64_t fair_rate = std::int64_t{64} * 1024;  // bytes a second

 private:
  static inline CoarseTime time_for(std::uint64_t taken) noexcept {
    constexpr std::uint64_t most = std::uint64_t{1} << 33U;  // more than a day, and no overflow
    constexpr CoarseTime second = 1'000'000'000;
    return static_cast<CoarseTime>(std::min(taken, most)) * second / fair_rate;
  }

  std::uint64_t untaken_ = 0;  // at the last look; 0: nothing waited
  CoarseTime progress_at_ = 0;
  CoarseTime behind_since_ = 0;
};

}  // namespace net
