/// \file
/// `net.server:client_silence`, internal: the waits of what runs a connection for its client.
module net.server:client_silence;

import net.standard;
import net.socket;
import :poller;
import :shared_page;

namespace net {

// A limit as a socket's time-out; one of more than a century is none.
inline std::optional<Socket::Duration> timeout_of(std::chrono::milliseconds limit) noexcept {
  if (limit > std::chrono::years(100)) return std::nullopt;
  return limit;
}

// A conversation or a child waits for its client where nobody else can look. So it notes since when
// (a child in the memory that it shares with its parent), and who wants it to end for that ends its
// input. From any thread, except where it says otherwise.
class ClientSilence {
 public:
  // Null: a datagram, whose socket is its listener's.
  explicit ClientSilence(Socket* socket) noexcept : socket_(socket) { note_in_own(); }
  ClientSilence(const ClientSilence&) = delete;
  ClientSilence& operator=(const ClientSilence&) = delete;

  // Where the waits are noted: in a child, where its parent sees it. Before the fork.
  void note_in(Silence& shared) noexcept;
  void note_in_own() noexcept { note_in(own_); }
  bool in_this_process() const noexcept { return noted_ == &own_; }
  // The socket has another owner from here on. Under the lock of the server's list, as
  // `end_input`, so that that meets no descriptor that a handler gave away.
  void let_go() noexcept { socket_ = nullptr; }

  // For who runs the connection: waits for a request, for the rest of one, or for room for the rest
  // of an answer, since then.
  enum class Wait : std::uint8_t { between, request, answer };
  void begin_wait(CoarseTime since, Wait what) noexcept {
    noted_->amid.store(static_cast<std::uint8_t>(what));
    noted_->between.store(since);
  }
  void end_wait() noexcept {
    noted_->between.store(0);
    noted_->amid.store(0);
  }

  // Since when a client is silent between two requests, or in a read of its handler; 0 if it is
  // not.
  CoarseTime idle_since(bool conversation) const noexcept;
  // The same, of one that could be evicted: also slowly amid a request, of `run`.
  CoarseTime evictable_since(bool conversation) const noexcept;
  // A client amid a request or an answer has some time for it, however much its slot is wanted.
  static CoarseTime if_slow(CoarseTime since) noexcept {
    constexpr std::int64_t patience = 500;  // milliseconds
    return since != 0 && coarse_now() >= coarse_after(since, patience) ? since : 0;
  }

  // Ends the input, in whichever thread or process it is read: what has arrived is still read.
  void end_input() noexcept;
  bool input_ended() const noexcept { return input_ended_.load(std::memory_order_relaxed); }
  // Whether it was ended, wherever: a child is told by its parent.
  bool was_ended() const noexcept { return noted_->ended.load() != 0; }
  // Has it end by itself in a silence of that length. For the owner.
  void end_input_after(std::chrono::milliseconds quiet) noexcept;
  bool ends_itself() const noexcept { return ends_itself_; }

  // In a child, also from a signal handler: has the connection end after the request at hand. A
  // conversation that is not silent sees the end of its input at its next silence.
  void ask_to_end(bool conversation, std::chrono::milliseconds quiet) noexcept;
  bool asked_to_end() const noexcept { return asked_to_end_.load(std::memory_order_relaxed); }

  // Whether its place was wanted, and whether it was told so only a short while ago.
  void evict(CoarseTime now) noexcept { evicted_since_.store(now, std::memory_order_relaxed); }
  void spare() noexcept { evict(0); }
  bool was_evicted() const noexcept { return evicted_since() != 0; }
  bool is_leaving(CoarseTime now) const noexcept {
    constexpr std::int64_t patience = 2000;  // milliseconds, until another goes in its place
    return was_evicted() && now < coarse_after(evicted_since(), patience);
  }

 private:
  // A time that a child may have written: one that has not come is none.
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
