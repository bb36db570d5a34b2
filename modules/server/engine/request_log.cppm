/// \file
/// `net.server:request_log`, internal: records of the requests of one connection, for
/// `ServerHooks::on_request`.
module net.server:request_log;

import net.standard;
import net.handler;
import :hook_calls;
import :hooks;

namespace net {

// Exists only if the hooks want it. Bytes are counted as they pass the socket, so that all kinds of
// handlers count alike. The stream's buffers show which request the bytes belong to. For the owner
// of the connection; `received` and `sent` are called in the thread in which the handler receives
// and sends.
class RequestLog {
 public:
  RequestLog() noexcept;
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  void received(std::size_t bytes) noexcept;
  void received_datagram(std::size_t bytes) noexcept;
  void sent(std::size_t bytes) noexcept { sent_ += bytes; }

  // `begin`: the handler is about to be called, for a new request or for the rest of one.
  // `handled`: it has returned.
  void begin(const BufferedStream& stream) noexcept;
  void handled(const RequestContext& context, bool goes_on);

  // A datagram was answered with this many bytes, by its handler or after it.
  void replied(std::size_t bytes) noexcept;

  // Everything that was written has been sent: reports the complete requests.
  void answered(HookCalls& hooks, const RequestContext& context) noexcept;
  // The connection has ended with `outcome`: reports all requests that are left.
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
    bool cut_off;  // the handler threw, or was not called
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
  std::uint64_t written_ = 0;  // by the requests that are complete
  std::uint64_t told_ = 0;
  Noted current_{};
  std::vector<Noted> complete_;  // complete requests that are not reported yet
};

}  // namespace net
