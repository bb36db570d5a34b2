/// \file
/// `net.server:request_log`, internal: what is noted of the requests of one connection, for
/// `ServerHooks::on_request`.
module net.server:request_log;

import net.standard;
import net.handler;
import :hook_calls;
import :hooks;

namespace net {

// Exists only if the hooks want it. Bytes are noted as they pass the socket, so that all kinds of
// handlers count alike; which request they belong to follows from what waits in the stream's
// buffers. For the owner of the connection; `received` and `sent` where its handler does that.
class RequestLog {
 public:
  RequestLog() noexcept;
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  void received(std::size_t bytes) noexcept;
  void received_datagram(std::size_t bytes) noexcept;
  void sent(std::size_t bytes) noexcept { sent_ += bytes; }

  // The handler is called, for a new request or for the rest of one; and has returned.
  void begin(const BufferedStream& stream) noexcept;
  void handled(const RequestContext& context, bool goes_on);

  // A datagram was answered with so many bytes, in or after its handler.
  void replied(std::size_t bytes) noexcept;

  // All that was written has been sent: tells of the requests that are complete.
  void answered(HookCalls& hooks, const RequestContext& context) noexcept;
  // The connection has ended so: tells of all that is left.
  void over(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  using Time = RequestRecord::Time;
  struct Noted {
    Time first_byte;
    Time begun;
    Time handled;
    std::uint64_t received;
    std::uint64_t written_from;  // of all that was written to the connection
    std::uint64_t written_to;
    bool cut_off;  // the handler threw, or was not called
  };
  std::uint64_t written(const BufferedStream& stream) const noexcept {
    return sent_ + stream.pending();
  }
  void complete(std::uint64_t unread);
  // The outcome is that of the connection; none if it goes on.
  void tell(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

  const Time accepted_;
  Time last_arrival_;
  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;  // by the requests that are complete
  std::uint64_t sent_ = 0;
  std::uint64_t written_ = 0;  // by the requests that are complete
  std::uint64_t told_ = 0;
  Noted current_{};
  std::vector<Noted> complete_;  // whose answers are not sent yet
};

}  // namespace net
