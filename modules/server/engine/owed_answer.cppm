/// \file
/// `net.server:owed_answer`, internal: the answer that a client must take before its next request.
module net.server:owed_answer;

import net.standard;
import net.handler;
import :poller;
import :send_progress;

namespace net {

// The rest of an answer: bytes that are pending in the stream, or that the handler has yet to write
// (`Next::more`). Only the owner of the connection may use it.
class OwedAnswer {
 public:
  explicit OwedAnswer(BufferedStream& stream) noexcept : stream_(stream) {}
  OwedAnswer(const OwedAnswer&) = delete;
  OwedAnswer& operator=(const OwedAnswer&) = delete;

  inline bool exists() const noexcept { return more_ || stream_.is_pending(); }
  // Returns whether the handler has yet to write more.
  inline bool goes_on() const noexcept { return more_; }
  inline void go_on() noexcept { more_ = true; }
  // Call this before calling the handler again. The handler returns `Next::more` again if it has
  // more to write.
  inline void resume() noexcept {
    more_ = false;
    progress_.over();
  }
  // Sends pending output without waiting. Returns false if some of it is left.
  bool send_now();
  // Returns whether the client has taken some of the answer within the last `limit` milliseconds.
  bool moves(CoarseTime now, std::int64_t limit) noexcept;
  // Does what `moves` does, and returns when to call `moves` next: after a quarter of `limit`, or
  // when the client has taken nothing for `limit`, whichever is first.
  CoarseTime next_look(CoarseTime now, std::int64_t limit) noexcept;
  // Waits for buffer space in the socket, until the time `limit`. Returns false if there is none by
  // then. Also used when a handler has more to write to a bare socket.
  bool wait_for_room(CoarseTime limit) noexcept;
  // Returns since when the client has been behind, as of the last call of `moves`.
  inline CoarseTime behind_since() const noexcept { return progress_.behind_since(); }

 private:
  BufferedStream& stream_;
  SendProgress progress_;
  bool more_ = false;
};

}  // namespace net
