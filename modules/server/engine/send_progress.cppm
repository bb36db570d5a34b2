/// \file
/// `net.server:send_progress`, internal: how fast a client takes an answer.
module net.server:send_progress;

import net.standard;
import :coarse_clock;

namespace net {

// Compares at each look how many bytes of an answer the client has not taken: those in the stream's
// buffer and in the kernel's queue. Epoll reports free space only when a good part of that queue is
// free, so the progress of a slow reader shows only here. Only the owner of the connection may use
// it.
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
  // Called when no bytes wait for the client any more.
  inline void over() noexcept { untaken_ = 0; }

  // Returns when the client last took bytes.
  inline CoarseTime progress_at() const noexcept { return progress_at_; }
  // Returns since when the client has been behind. The bytes that it takes move this time forward,
  // by the time that the fair rate needs for them. For a fast client, this is the time of the last
  // look; for one that takes nothing, the time of the first look at its answer.
  inline CoarseTime behind_since() const noexcept { return behind_since_; }

  static constexpr std::int64_t fair_rate = std::int64_t{64} * 1024;  // bytes a second

 private:
  static inline CoarseTime time_for(std::uint64_t taken) noexcept {
    constexpr std::uint64_t most = std::uint64_t{1} << 33U;  // takes over a day; cannot overflow
    constexpr CoarseTime second = 1'000'000'000;
    return static_cast<CoarseTime>(std::min(taken, most)) * second / fair_rate;
  }

  std::uint64_t untaken_ = 0;  // at the last look; 0: nothing waited
  CoarseTime progress_at_ = 0;
  CoarseTime behind_since_ = 0;
};

}  // namespace net
