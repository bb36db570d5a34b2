/// \file
/// `net.server:owed_answer`, internal: the answer that a client must take before its next request.
module net.server:owed_answer;

import net.standard;
import net.handler;
import :poller;
import :send_progress;

namespace net {

// The rest of an answer: bytes that are pending in the stream, or that the handler has yet to write
// (`Next::more`). For the owner of the connection.
class OwedAnswer {
 public:
  explicit OwedAnswer(BufferedStream& stream) noexcept : stream_(stream) {}
  OwedAnswer(const OwedAnswer&) = delete;
  OwedAnswer& operator=(const OwedAnswer&) = delete;

  inline bool exists() const noexcept { return more_ || stream_.is_pending(); }
  // Whether the handler has yet to write more.
  inline bool goes_on() const noexcept { return more_; }
  inline void go_on() noexcept { more_ = true; }
  // The handler is called again. It calls for more again if it needs to.
  inline void resume() noexcept {
    more_ = false;
    progress_.over();
  }
  // Sends what is pending, without waiting. Returns false if the client has not taken everything.
  bool send_now();
  // Returns whether the client has taken some of the answer within the last `limit` milliseconds.
  bool moves(CoarseTime now, std::int64_t limit) noexcept;
  // Returns when to call `moves` next: it is called more than once before the limit.
  CoarseTime next_look(CoarseTime now, std::int64_t limit) noexcept;
  // Waits for buffer space. Returns false at the limit. Also for a handler that goes on writing to
  // a bare socket.
  bool wait_for_room(CoarseTime limit) noexcept;
  // Returns since when the client is behind, as of the last look.
  inline CoarseTime behind_since() const noexcept { return progress_.behind_since(); }

 private:
  BufferedStream& stream_;
  SendProgress progress_;
  bool more_ = false;
};

}  // namespace net
