/// \file
/// `net.server:request_reader`, internal: finds requests in the bytes that a client sends.
module net.server:request_reader;

import net.standard;
import net.socket;
import net.handler;
import :handler_binding;
import :hooks;
import :poller;

namespace net {

// Finds the requests of one connection. For most handlers it reads ahead until a request is whole
// by the handler's framing or, without framing, until any bytes have arrived. A handler that reads
// the bare socket is called when there is something to read. A conversation and a datagram have one
// request, which is whole from the start.
//
// The last receive shows whether the socket is drained: the receive met EAGAIN, or was so short
// that nothing can have been left (`Socket::last_receive`). This does not hold after epoll has
// reported the end of the stream or urgent data, which a short receive does not show.
//
// Only the owner of the connection may use it, except where a function says otherwise.
class RequestReader {
 public:
  enum class Kind : std::uint8_t { datagram, conversation, raw, framed, unframed };
  enum class Found : std::uint8_t { whole, partial, end };

  RequestReader(BufferedStream& stream, const HandlerMaker& maker, std::size_t most, bool datagram)
      : stream_(stream), maker_(maker), most_(most), kind_(kind_of(maker, datagram)) {}
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  inline Kind kind() const noexcept { return kind_; }
  inline bool reads_one() const noexcept { return kind_ <= Kind::conversation; }

  // Looks for the next request, without waiting. `begun`: a handler exists already; if it reads the
  // bare socket, it is called for the end of the stream too. Throws the error of a failed receive,
  // any exception of the handler's `request_size`, and `message_size` if the request is too large.
  [[gnu::always_inline]] inline Found look(bool begun) {
    if (kind_ == Kind::raw) [[unlikely]] {
      return look_at_socket(begun);
    }
    row_since_ = 0;
    // Without framing, and with nothing left over, one receive decides.
    const bool one_receive = kind_ == Kind::unframed && stream_.input().empty();
    if (!one_receive || stream_.ended() || drained()) [[unlikely]] {
      return read_on();
    }
    switch (stream_.receive_now(std::numeric_limits<std::size_t>::max())) {
      [[likely]] case BufferedStream::Arrival::bytes:
        note_input();
        stalled_ = false;
        return Found::whole;
      case BufferedStream::Arrival::nothing: return Found::partial;
      case BufferedStream::Arrival::end: break;
    }
    return Found::end;
  }

  // Returns which answers of the next call of the handler are held back until the call after it has
  // answered. Without framing, it is not known before the answers are written whether there will be
  // such a call. A handler that reads the bare socket leaves no input in the stream, so none of its
  // answers is held back. `last`: the next call is the last one in this row.
  inline BufferedStream::Hold to_hold(bool last) noexcept {
    forget_following();
    if (last) return BufferedStream::Hold::none;
    if (kind_ == Kind::framed) return to_hold_framed();
    if (row_since_ == 0) row_since_ = coarse_now();
    return BufferedStream::Hold::while_input;
  }

  // Forgets the size of the request after the front one. Call this before the handler continues the
  // answer to an earlier request, since the size may be stale afterwards.
  inline void forget_following() noexcept { following_ = 0; }

  // Call `before_handler` before each call of the handler, and `after_handler` after it, with the
  // size of the input that `before_handler` returned. `after_handler` returns true if the handler
  // has met the end of the stream itself.
  inline std::size_t before_handler() noexcept {
    if (kind_ == Kind::raw) [[unlikely]] {
      return before_raw_handler();
    }
    stream_.forget_receives();
    return stream_.input().size();
  }
  [[gnu::always_inline]] inline bool after_handler(std::size_t before) noexcept {
    if (kind_ == Kind::raw) [[unlikely]] {
      return after_raw_handler(before);
    }
    if (stream_.input().empty()) [[likely]] {
      stalled_ = false;
      request_since_ = 0;
    } else {
      note_left_over(before);
    }
    if (kind_ == Kind::framed) find_next(before);
    return false;
  }
  // Returns whether another request may be handled in a row with the last one. Requests that arrive
  // later wait until this thread has served other connections.
  inline bool another_at_hand() const noexcept {
    if (stream_.input().empty() || stalled_) return false;
    // A slow reader must take the answers that wait for it first.
    if (stream_.is_pending() && !stream_.held()) return false;
    if (request_since_ != row_since_) return false;
    return kind_ == Kind::unframed || front_ != 0;
  }
  // Returns whether it is worth looking again at once.
  inline bool may_find_more() const noexcept {
    // If a handler of the bare socket made no receive call of `Socket`, all bytes are known when
    // there are none, or as many as before (`stalled_`).
    const bool all_known =
        drained() || (kind_ == Kind::raw && untouched() && (stalled_ || unread_ == 0));
    return !all_known || looked_ || stream_.ended() ||
           (kind_ != Kind::raw && !stream_.input().empty() && !stalled_);
  }

  // Restarts the time of the current request. Called when an answer had to be sent first, so that
  // the client's bytes could not be read until now.
  inline void restart_clock(CoarseTime now) noexcept {
    if (request_since_ != 0) request_since_ = now;
  }
  // Returns the fault of the request for an error of `look`, or nothing if it is not the client's
  // fault.
  std::optional<BadRequest> fault(const RequestError& error) const noexcept;
  // Returns the size of the whole request at the front of the input; 0: unknown.
  inline std::size_t front() const noexcept { return front_; }
  // Returns when the time of the current request began: when its first byte was received or left
  // over, or at `restart_clock`; 0: there is no request.
  inline CoarseTime request_since() const noexcept { return request_since_; }
  // Call this when a handler of the bare socket has finished an answer that it continued after
  // `Next::more`. If it has read meanwhile, what is unread counts as a new request.
  void after_raw_more() noexcept;
  // Returns whether the last call of the handler left the bytes in a bare socket as they were. A
  // poll would report these bytes again and again.
  bool polls_in_vain() const noexcept { return kind_ == Kind::raw && stalled_; }
  // Returns whether what a parked connection waits for has arrived: the first bytes of a request,
  // or the rest of one. `begun`: as for `look`. `ended_here`: the end of the stream comes from the
  // server.
  bool has_come(bool begun, bool ended_here);
  // Returns whether there are bytes in the socket.
  bool something_arrived() noexcept;
  // Waits until bytes arrive after those that were left, or the stream ends. Returns false at the
  // limit.
  bool wait_for_new_bytes(Deadline limit);
  // Called when epoll has reported the end of the stream, an error or urgent data. May be called
  // from any thread.
  inline void distrust_short_receives() noexcept {
    distrusts_.store(true, std::memory_order_relaxed);
  }
  // For a thread that serves the whole connection: watches a bare socket for new bytes, as a
  // parking lot would. Call this before the first handler. If the system refuses, bytes that come
  // while the handler reads as many may go unnoticed until more come.
  void watch_edges() noexcept;
  // Called when epoll has reported bytes. May be called from any thread.
  inline void note_edge() noexcept {
    if (kind_ == Kind::raw) [[unlikely]] {
      edge_.store(true);
    }
  }

 private:
  static Kind kind_of(const HandlerMaker& maker, bool datagram) noexcept;
  inline bool drained() const noexcept {
    return stream_.socket().last_receive() == Socket::Received::all &&
           !distrusts_.load(std::memory_order_relaxed);
  }
  // Returns whether the handler has received nothing through `Socket`, and epoll has reported only
  // bytes.
  inline bool untouched() const noexcept {
    return stream_.socket().last_receive() == Socket::Received::nothing_asked &&
           !distrusts_.load(std::memory_order_relaxed);
  }
  inline void note_input() noexcept {
    row_since_ = coarse_now();
    if (request_since_ == 0) request_since_ = row_since_;
  }
  Found read_on();
  bool find_front();
  Found look_at_socket(bool begun);
  Found look_behind_the_rest() noexcept;
  std::size_t unread() noexcept;
  std::size_t framed(std::span<const std::byte> input) const noexcept;
  BufferedStream::Hold to_hold_framed() noexcept;
  void note_left_over(std::size_t before) noexcept;
  void find_next(std::size_t before) noexcept;
  std::size_t before_raw_handler() noexcept;
  bool after_raw_handler(std::size_t before) noexcept;
  bool take_edge() noexcept;

  BufferedStream& stream_;
  const HandlerMaker& maker_;
  const std::size_t most_;  // the largest request, in bytes
  CoarseTime request_since_ = 0;
  CoarseTime row_since_ = 0;    // when the requests that are served in a row began; 0: unknown
  std::size_t front_ = 0;       // size of the whole request at the front of the input; 0: unknown
  std::size_t following_ = 0;   // size of the request after that one; 0: it is not whole
  std::size_t unread_ = 0;      // bytes that the last handler left in a bare socket
  std::size_t read_ahead_ = 0;  // bytes in the stream when a handler of a bare socket was called
  const Kind kind_;
  std::atomic<bool> distrusts_{false};
  Descriptor edges_;  // reports bytes in a bare socket, if no parking lot does; see `watch_edges`
  std::atomic<bool> edge_{false};  // bytes have come to a bare socket since its handler was called
  bool framing_ = false;           // `request_size` is being called
  bool stalled_ = false;   // the handler left the input as it was: only new bytes make a request
  bool asks_us_ = false;   // the last handler of a bare socket received through `Socket`
  bool looked_ = false;    // a request was found for a handler of a bare socket, not handled yet
  bool sees_end_ = false;  // that request is the end of the stream
};

}  // namespace net
