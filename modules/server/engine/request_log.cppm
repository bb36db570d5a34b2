/// \file
/// `net.server:request_log`, internal: the records of one connection's requests, for
/// `ServerHooks::on_request`.
module net.server:request_log;

import net.standard;
import net.handler;
import :hook_calls;
import :hooks;

namespace net {

// Exists only if the hooks ask for it. Bytes are counted as they pass the socket, so all kinds of
// handlers count alike. The content of the stream's buffers shows which request they belong to.
// For the owner of the connection; `received` and `sent` are called where its handler receives and
// sends.
class RequestLog {
 public:
  RequestLog() noexcept;
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  void received(std::size_t bytes) noexcept;
  void received_datagram(std::size_t bytes) noexcept;
  void sent(std::size_t bytes) noexcept { sent_ += bytes; }

  // Called before the handler, for a new request or the rest of one, and after it has returned.
  void begin(const BufferedStream& stream) noexcept;
  void handled(const RequestContext& context, bool goes_on);

  // Notes an answer of `bytes` bytes to a datagram, sent by its handler or later.
  void replied(std::size_t bytes) noexcept;

  // Reports the complete requests. Called when all written bytes have been sent.
  void answered(HookCalls& hooks, const RequestContext& context) noexcept;
  // Reports the remaining requests. Called when the connection has ended with `outcome`.
  void over(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  using Time = RequestRecord::Time;
  struct Noted {
    Time first_byte;
    Time begun;
    Time handled;
    std::uint64_t received;
    std::uint64_t written_from;  // offset in all that was written to the connection
    std::uint64_t written_to;
    bool cut_off;  // the handler threw, or was not called (again)
  };
  std::uint64_t written(const BufferedStream& stream) const noexcept {
    return sent_ + stream.pending();
  }
  void complete(std::uint64_t unread);
  // `outcome`: that of the connection; `none` while it has not ended.
  void tell(HookCalls& hooks, const RequestContext& context, Outcome outcome) noexcept;

  const Time accepted_;
  Time last_arrival_;
  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;  // by the requests that are complete
  std::uint64_t sent_ = 0;
  std::uint64_t written_ = 0;  // by the requests that are complete
  std::uint64_t told_ = 0;
  Noted current_{};
  std::vector<Noted> complete_;  // complete requests that are not reported yet
};

}  // namespace net
