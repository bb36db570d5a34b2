/// \file
/// `net.server:owed_answer`, internal: what a client has to take before its next request.
module net.server:owed_answer;

import net.standard;
import net.handler;
import :poller;
import :send_progress;

namespace net {

// The rest of an answer, which is pending in the stream, or which the handler has yet to write
// (`Next::more`). For the owner of the connection.
class OwedAnswer {
 public:
  explicit OwedAnswer(BufferedStream& stream) noexcept : stream_(stream) {}
  OwedAnswer(const OwedAnswer&) = delete;
  OwedAnswer& operator=(const OwedAnswer&) = delete;

  inline bool exists() const noexcept { return more_ || stream_.is_pending(); }
  // Whether the handler goes on with it.
  inline bool goes_on() const noexcept { return more_; }
  inline void go_on() noexcept { more_ = true; }
  // The handler is called again: it says so anew.
  inline void resume() noexcept {
    more_ = false;
    progress_.over();
  }
  // Sends what is pending, without waiting; false if the client has not taken all.
  bool send_now();
  // Whether the client has taken some of it within the last `limit`, in milliseconds.
  bool moves(CoarseTime now, std::int64_t limit) noexcept;
  // When that is to be looked at next: there is more than one look until the limit.
  CoarseTime next_look(CoarseTime now, std::int64_t limit) noexcept;
  // Waits for room; false at the limit. Also for a handler that goes on with its own.
  bool wait_for_room(CoarseTime limit) noexcept;
  // Since when the client is behind; as of the last look.
  inline CoarseTime behind_since() const noexcept { return progress_.behind_since(); }

 private:
  BufferedStream& stream_;
  SendProgress progress_;
  bool more_ = false;
};

}  // namespace net
