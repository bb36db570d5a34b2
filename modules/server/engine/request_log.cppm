/// \file
/// `net.server:request_log`, internal: records of the requests of one connection, for
/// `ServerHooks::on_request`.
module net.server:request_log;

import net.standard;
import net.handler;
import :hook_calls;
import :hooks;

namespace net {

// Records the requests of one connection; exists only if `on_request` is overridden. Bytes are
// counted as they pass the socket, so that the counts mean the same for all kinds of handlers. The
// stream's buffers show which request the bytes belong to. Only the owner of the connection may use
// it; `received` and `sent` are called on the thread on which the handler receives and sends.
class RequestLog {
 public:
  RequestLog() noexcept;
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  void received(std::size_t bytes) noexcept;
  void received_datagram(std::size_t bytes) noexcept;
  void sent(std::size_t bytes) noexcept { sent_ += bytes; }

  // Call `begin` before each call of the handler, for a new request or for the rest of one. Call
  // `handled` when the handler has returned.
  void begin(const BufferedStream& stream) noexcept;
  void handled(const RequestContext& context, bool goes_on);

  // Notes that a datagram was answered with this many bytes, by its handler or after the handler
  // had finished.
  void replied(std::size_t bytes) noexcept;

  // Reports the complete requests. Call this when everything that was written has been sent.
  void answered(HookCalls& hooks, const RequestContext& context) noexcept;
  // Reports all requests that are left. Call this when the connection has ended with `outcome`.
  void over(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  using Time = RequestRecord::Time;
  struct Noted {
    Time first_byte;
    Time begun;
    Time handled;
    std::uint64_t received;
    std::uint64_t written_from;  // the range of its answer in all that was written
    std::uint64_t written_to;
    bool cut_off;  // the handler threw, was not called, or was to be called again
  };
  std::uint64_t written(const BufferedStream& stream) const noexcept {
    return sent_ + stream.pending();
  }
  void complete(std::uint64_t unread);
  // `outcome` is that of the connection; none if it goes on.
  void tell(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

  const Time accepted_;
  Time last_arrival_;
  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;  // by the requests that are complete
  std::uint64_t sent_ = 0;
  std::uint64_t written_ = 0;  // where the answer to the last complete request ends in the output
  std::uint64_t told_ = 0;
  Noted current_{};
  std::vector<Noted> complete_;  // complete requests that are not reported yet
};

}  // namespace net
