module;

#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <climits>
#include <cstdint>

module net.server;

import net.socket;
import net.handler;
import :owed_answer;

namespace net {

bool OwedAnswer::send_now() {
  if (!stream_.is_pending()) return true;
  if (!stream_.flush_now()) return false;
  progress_.over();
  return true;
}

bool OwedAnswer::moves(CoarseTime now, std::int64_t limit) noexcept {
  int queued = 0;
  ::ioctl(stream_.socket().fileno(), TIOCOUTQ, &queued);
  progress_.look(stream_.pending() + static_cast<std::uint64_t>(queued), now);
  return now < coarse_after(progress_.progress_at(), limit);
}

CoarseTime OwedAnswer::next_look(CoarseTime now, std::int64_t limit) noexcept {
  moves(now, limit);
  return std::min(coarse_after(progress_.progress_at(), limit),
                  coarse_after(now, std::max<std::int64_t>(limit / 4, 1)));
}

bool OwedAnswer::wait_for_room(CoarseTime limit) noexcept {
  pollfd polled{stream_.socket().fileno(), POLLOUT, 0};
  const std::int64_t time =
      std::clamp<std::int64_t>((limit - coarse_now()) / 1'000'000 + 1, 1, INT_MAX);
  return ::poll(&polled, 1, static_cast<int>(time)) != 0;
}

}  // namespace net
