/// \file
/// `net.server:exchange`, internal: the requests of one client, and the calls of its handler.
module net.server:exchange;

import net.standard;
import net.socket;
import net.handler;
import :client_silence;
import :handler_calls;
import :hooks;
import :owed_answer;
import :poller;
import :request_reader;
import :service;

namespace net {

// Finds the requests of one client, calls its handler, and has the answers sent. The handler sees
// this object as its context. The exchange itself waits for the client only in `wait`, in a
// conversation, and before a handler gives its socket away. It never ends the connection: when the
// exchange is over, its caller ends the connection with `outcome`. Only the owner of the connection
// may use it, except where noted.
class Exchange : public RequestContext {
 public:
  // RequestContext
  const Address& server_address() const noexcept final { return *listener_; }
  void shutdown() noexcept final;
  bool stopping() const noexcept final;
  Stats stats() const final;
  std::size_t request_size() const noexcept final;

  // The server's own access to the socket, which sends nothing first.
  inline Socket& socket() noexcept { return stream().socket(); }
  // `service`, `conversation` and `silence` may be called from any thread.
  inline Service& service() const noexcept { return handler_.service(); }
  inline bool conversation() const noexcept {
    return reader_.kind() == RequestReader::Kind::conversation;
  }
  inline ClientSilence& silence() noexcept { return silence_; }
  // Returns whether the next step has something to do already.
  inline bool ready() const noexcept { return ready_; }
  // Makes the next step end the connection with `outcome`. Unless `outcome` is `cut`, the step
  // ignores this if the awaited event has happened meanwhile.
  inline void expire(Outcome outcome) noexcept { expired_ = outcome; }
  // May be called from any thread.
  inline bool was_cut() const noexcept { return cut_.load(std::memory_order_relaxed); }

 protected:
  // The listener's address must outlive this object. Call `limits_changed` once the socket is in
  // its final place.
  Exchange(Service& service, Socket socket, const Address& peer, const Address& listener,
           bool datagram) noexcept;

  // What to do next: call the handler; wait, as nothing can be done yet (`later`); or end the
  // connection (`over`).
  enum class Prepared : std::uint8_t { handler, later, over };
  // Does everything that needs no handler.
  Prepared prepare() noexcept;
  // Serves what has arrived. Returns `close` if the connection is over.
  Next step() noexcept;
  // Waits for what the next step needs. Returns false if the connection is over.
  bool wait() noexcept;
  // Returns how the connection must end.
  inline Outcome outcome() const noexcept { return ended_; }
  inline HandlerCalls& handler() noexcept { return handler_; }

  // What the exchange waits for, and until when.
  struct Awaited {
    ClientSilence::Wait what;
    CoarseTime since;  // since when the client has been silent or slow
    CoarseTime limit;
  };
  inline Awaited awaited(CoarseTime now) noexcept {
    if (owed_.exists()) [[unlikely]] {
      const CoarseTime limit = owed_.next_look(now, limits().send.count());
      return {ClientSilence::Wait::answer, owed_.behind_since(), limit};
    }
    if (const CoarseTime begun = reader_.request_since(); begun != 0) [[unlikely]] {
      return {ClientSilence::Wait::request, begun, coarse_after(begun, limits().request.count())};
    }
    return {ClientSilence::Wait::between, now, coarse_after(now, limits().idle.count())};
  }
  // Makes the next step look for input, which may have arrived meanwhile.
  [[gnu::always_inline]] inline void look_again() noexcept {
    socket().forget_receives();
    ready_ = true;
  }
  inline RequestReader& reader() noexcept { return reader_; }

  // Sends what the handler wrote, before the handler closes its socket or moves it elsewhere.
  void send_before_release() noexcept;
  // Notes that the handler, here or in a child, has closed or moved its socket. The handler may
  // have put another socket in its place. Call this under the lock of the registry, which any other
  // thread holds while it calls `given_away`.
  void give_away() noexcept;
  inline bool given_away() const noexcept { return given_away_; }
  inline bool said_last_word() const noexcept { return said_last_word_; }
  inline void note_last_word() noexcept { said_last_word_ = true; }
  // From any thread.
  inline void note_cut() noexcept { cut_.store(true, std::memory_order_relaxed); }
  void limits_changed() final;

 private:
  Prepared prepare_or_throw(bool may_finish);
  Prepared prepare_request(bool may_finish);
  Prepared end_expired(bool may_finish);
  Prepared finish_and_end(Outcome outcome, bool may_finish);
  bool ends_in_drain() const noexcept;
  Next handle_requests();
  Next handle_more();
  Next go_on_later();
  Next keep();
  Next end_served();
  Next converse();
  void fail(std::exception_ptr exception) noexcept;

  // Members of one byte come first, to save memory: thousands of connections may be parked.
  Outcome expired_ = Outcome::none;
  Outcome ending_ = Outcome::none;  // how the connection ends once pending output is sent
  Outcome ended_ = Outcome::none;
  bool ready_ = true;
  bool given_away_ = false;
  bool said_last_word_ = false;  // to a client with a malformed, late or too large request
  std::atomic<bool> cut_{false};
  const Address* listener_;  // the listener's address, which lives as long as the server
  RequestReader reader_;
  ClientSilence silence_;
  OwedAnswer owed_;
  HandlerCalls handler_;
};

}  // namespace net
