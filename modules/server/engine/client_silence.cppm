/// \file
/// `net.server:client_silence`, internal: since when a conversation or a child has waited for its
/// client.
module net.server:client_silence;

import net.standard;
import net.socket;
import :poller;
import :shared_page;

namespace net {

// Converts a limit to a socket's time-out. A limit of more than a century is no time-out.
inline std::optional<Socket::Duration> timeout_of(std::chrono::milliseconds limit) noexcept {
  if (limit > std::chrono::years(100)) return std::nullopt;
  return limit;
}

// The time since which a connection that a thread or a child runs to its end has waited for its
// client. No other thread can see such a wait, so the connection notes when the wait began; in a
// child, it does so in the memory that the child shares with its parent. The server ends a silent
// connection by ending its input. May be used from any thread, except where a function says
// otherwise.
class ClientSilence {
 public:
  // `socket` is null for a datagram, whose socket belongs to its listener.
  explicit ClientSilence(Socket* socket) noexcept : socket_(socket) { note_in_own(); }
  ClientSilence(const ClientSilence&) = delete;
  ClientSilence& operator=(const ClientSilence&) = delete;

  // Sets where the waits are noted: for a child, in the memory that it shares with its parent. To
  // be called before the fork, under the registry's lock.
  void note_in(Silence& shared) noexcept;
  void note_in_own() noexcept { note_in(own_); }
  bool in_this_process() const noexcept { return noted_ == &own_; }
  // Notes that the socket has another owner from now on. To be called under the registry's lock.
  // The server holds that lock for `end_input` too, so that `end_input` never acts on a descriptor
  // that a handler gave away. A child, which has one thread, needs no lock for that.
  void let_go() noexcept { socket_ = nullptr; }

  // For the thread that runs the connection: notes that it waits for a request (`between`), for the
  // rest of one (`request`), or for buffer space for the rest of an answer (`answer`). `since`:
  // since when the client has been silent or slow.
  enum class Wait : std::uint8_t { between, request, answer };
  void begin_wait(CoarseTime since, Wait what) noexcept {
    noted_->amid.store(static_cast<std::uint8_t>(what));
    noted_->between.store(since);
  }
  void end_wait() noexcept {
    noted_->between.store(0);
    noted_->amid.store(0);
  }

  // Returns since when the client has been silent between two requests or in a read of its handler;
  // 0 if it is not silent.
  CoarseTime idle_since(bool conversation) const noexcept;
  // Returns since when the client has been silent or slow enough to be evicted; 0 if it must not be
  // evicted. In `Request::run`, a client that is slow within a request or an answer can be evicted
  // too.
  CoarseTime evictable_since(bool conversation) const noexcept;
  // Returns `since` if that is at least half a second ago, else 0: a client within a request or an
  // answer gets that much time, however urgently its slot is needed.
  static CoarseTime if_slow(CoarseTime since) noexcept {
    constexpr std::int64_t patience = 500;  // milliseconds
    return since != 0 && coarse_now() >= coarse_after(since, patience) ? since : 0;
  }

  // Ends the input, whichever thread or process reads it. Bytes that have arrived can still be
  // read.
  void end_input() noexcept;
  bool input_ended() const noexcept { return input_ended_.load(std::memory_order_relaxed); }
  // Returns whether the input was ended. In a child, this includes an end by its parent.
  bool was_ended() const noexcept { return noted_->ended.load() != 0; }
  // Makes the input end by itself after a silence of that length. For the owner of the connection.
  void end_input_after(std::chrono::milliseconds quiet) noexcept;
  bool ends_itself() const noexcept { return ends_itself_; }

  // In a child, also from a signal handler: makes the connection end after its current request. A
  // conversation that is not silent sees the end of its input at its next silence.
  void ask_to_end(bool conversation, std::chrono::milliseconds quiet) noexcept;
  bool asked_to_end() const noexcept { return asked_to_end_.load(std::memory_order_relaxed); }

  // Mark the client as evicted (`evict`), or no longer (`spare`), and return whether it is marked
  // (`was_evicted`), and whether it was marked only a short while ago (`is_leaving`).
  void evict(CoarseTime now) noexcept { evicted_since_.store(now, std::memory_order_relaxed); }
  void spare() noexcept { evict(0); }
  bool was_evicted() const noexcept { return evicted_since() != 0; }
  bool is_leaving(CoarseTime now) const noexcept {
    constexpr std::int64_t patience = 2000;  // milliseconds, until another one is evicted instead
    return was_evicted() && now < coarse_after(evicted_since(), patience);
  }

 private:
  // Reads a time that a child may have written. A time in the future counts as none.
  static CoarseTime time_of(const std::atomic<CoarseTime>& written) noexcept {
    const CoarseTime time = written.load(std::memory_order_relaxed);
    return time > 0 && time <= coarse_now() ? time : 0;
  }
  bool waits_for_room() const noexcept {
    return noted_->amid.load() == static_cast<std::uint8_t>(Wait::answer) &&
           noted_->between.load() != 0;
  }
  CoarseTime evicted_since() const noexcept {
    return evicted_since_.load(std::memory_order_relaxed);
  }

  Silence own_;
  Silence* noted_ = &own_;
  Socket* socket_;
  std::atomic<CoarseTime> evicted_since_{0};
  std::atomic<bool> input_ended_{false};
  std::atomic<bool> asked_to_end_{false};
  bool ends_itself_ = false;
};

}  // namespace net
