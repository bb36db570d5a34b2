/// \file
/// `net.server:connection`, internal: one connection, from accept to close; or one datagram, which
/// is served as a conversation of one word.
///
/// Who owns it is always one of: whoever accepts it, the serving thread (ending it for a limit), a
/// `Request` (in a policy's hand, or running), the parking lot. Only the owner touches it, but for
/// the atomics; only the owner closes its descriptor, so that cutting never hits a reused number.
/// Ownership moves by one compare-exchange of `state`, and the loser does nothing:
///
///     running ─ try_park → parked ─ claim (edge, limit, drain) → running
///     running ─ edge → running_more            try_park fails then
///     waiting ─ leave_queue → running          a conversation in a policy's queue
///     waiting ─ claim_waiting → shedding → gone    its limit passed; the request is a shell
module net.server:connection;

import net.standard;
import net.socket;
import net.handler;
import :counters;
import :datagram_socket;
import :handler_binding;
import :hooks;
import :poller;
import :registry;
import :request;
import :request_reader;
import :service;
import :shared_page;

namespace net {

class Connection final : public RequestContext, public Registered, private SocketWatch {
 public:
  enum class State : std::uint8_t {
    running,
    running_more,
    parked,
    waiting,
    shedding,
    gone,
    abandoned
  };

  Connection(Service& service, Socket socket, const Address& peer,
             const Address& listener) noexcept;
  Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
             const DatagramSocket::Arrival& arrival);
  ~Connection() override;

  // RequestContext
  const Address& server_address() const noexcept override { return listener_; }
  void shutdown() noexcept override;
  bool stopping() const noexcept override;
  Stats stats() const override;

  // The server's own view, which sends nothing first.
  inline Socket& socket() noexcept { return stream().socket(); }
  inline Service& service() const noexcept { return *service_; }
  // Not asked of the server: what was shed may outlive it in a policy's queue.
  inline bool conversation() const noexcept {
    return reader_.kind() == RequestReader::Kind::conversation;
  }
  // Asks `verify_request`, once; false if it is gone. For a datagram, in its step at the latest.
  bool verify() noexcept;

  // --- for the owner ---
  Next step() noexcept;
  void run() noexcept;
  inline bool ready() const noexcept { return ready_; }
  // Does what needs no handler: says whether a handler is needed, nothing can be done now, or the
  // connection is gone.
  enum class Prepared : std::uint8_t { handler, later, gone };
  Prepared prepare() noexcept;
  bool try_park() noexcept;
  // For a new connection: it is the lot's from here on.
  void become_parked() noexcept;
  // Parks again what `claim` or `edge` gave the caller and it did nothing with; false if there is
  // something to do now: the caller keeps it.
  bool give_back() noexcept;
  // Ends the connection; it is gone after this.
  void end(Outcome outcome) noexcept;
  // Ends it as dropped, since it cannot be watched: with the exception that is being handled.
  void end_unwatched() noexcept;
  // Ends what a policy would not run.
  void drop() noexcept;
  // Ends what there is no place for, with the answer of `on_overload`.
  void reject() noexcept;
  // Begins the wait in a policy's queue, and ends it, if there is one; false if it was shed: it is
  // gone then.
  void enter_queue() noexcept;
  inline bool leave_queue() noexcept {
    if (wants_place_.load(std::memory_order_relaxed)) [[unlikely]] {
      wants_place_.store(false, std::memory_order_relaxed);
    }
    const State seen = state();
    if (seen == State::running || seen == State::running_more) [[likely]] {
      return true;
    }
    return leave_waiting();
  }
  // Whether the client of a conversation that waits has said nothing, and will not.
  bool left_unheard() noexcept;
  // Goes on waiting, within the time that it had.
  void rejoin_queue() noexcept { become(State::waiting, park_limit()); }
  Deadline queue_deadline() const noexcept;
  // How the next step ends the connection, unless something arrived meanwhile.
  inline void expire(Outcome outcome) noexcept { expired_ = outcome; }

  // --- for anyone, while the connection is known to exist ---
  // Says that there is something to do; true if the caller owns the connection now.
  bool claim() noexcept;
  // The same, for an event of epoll.
  bool edge(std::uint32_t events) noexcept;
  // Takes a waiting conversation away from its policy, and ends it.
  bool claim_waiting() noexcept;
  void shed() noexcept;
  // Since when it waits for its client in that state, and could be evicted; 0 if it does not. In
  // the middle of a request, nobody is silent.
  CoarseTime silent_since(State state) const noexcept;
  // Since when what runs it waits for its client, wherever; 0 if it does not.
  CoarseTime waits_since() const noexcept;
  // Where that is noted: in a child, where its parent sees it. Before the fork.
  void note_silence_in(Silence& silence) noexcept;
  inline void note_silence_in_own() noexcept { note_silence_in(own_silence_); }
  // Marks it as evicted; the caller ends its input, or the connection.
  void evict(CoarseTime now) noexcept { evicted_since_.store(now, std::memory_order_relaxed); }
  // Ends its input, in whichever thread or process it is read: what has arrived is still read. As
  // `cut`, under the lock of the server's list.
  void end_input() noexcept;
  // In a child, also from a signal handler: has the connection end after the request at hand. A
  // conversation that is not silent sees the end of its input at its next silence.
  void ask_to_end() noexcept;
  // Has its input end by itself in a silence of that length. For the owner.
  void end_input_after(std::chrono::milliseconds quiet);
  // Whether it was told so a short while ago.
  bool is_leaving(CoarseTime now) const noexcept;
  // That its policy has no place for it, and asked for somebody else's.
  inline void want_place() noexcept { wants_place_.store(true, std::memory_order_relaxed); }
  inline bool wants_place() const noexcept { return wants_place_.load(std::memory_order_relaxed); }
  inline State state() const noexcept { return state_.load(std::memory_order_acquire); }
  inline CoarseTime park_limit() const noexcept {
    return park_limit_.load(std::memory_order_relaxed);
  }
  inline CoarseTime parked_since() const noexcept {
    return parked_since_.load(std::memory_order_relaxed);
  }
  inline bool was_cut() const noexcept { return cut_.load(std::memory_order_relaxed); }
  inline bool was_shed() const noexcept {
    return state() == State::shedding || state() == State::gone;
  }
  inline bool parked_idle() const noexcept { return parked_idle_.load(std::memory_order_relaxed); }
  // Under the lock of the server's list, so that it meets no descriptor that a handler gave away.
  void cut() noexcept;
  // In a process that was forked since: closes its descriptors, and says nothing to the peer.
  void close_in_child() noexcept;

  // A RequestQueue's.
  Connection* next_queued = nullptr;
  // The parking lot's: the list of the retired (and, while one is owned by a sweep, of the swept);
  // registered in epoll, ever and now; waiting for room to send.
  Connection* next_retired = nullptr;
  bool entered = false;
  bool registered = false;
  bool wants_output = false;

 private:
  // Whether there is nothing to do before the next request is read.
  inline bool only_reads() const noexcept {
    return !reader_.reads_one() && expired_ == Outcome::none && ending_ == Outcome::none &&
           stream().pending() == 0;
  }
  bool leave_waiting() noexcept;
  Prepared prepare_or_throw(bool may_finish);
  Prepared prepare_request(bool may_finish);
  Prepared end_expired(bool may_finish);
  Prepared finish_and_end(Outcome outcome, bool may_finish);
  bool client_takes_some(CoarseTime now) noexcept;
  bool something_arrived() noexcept;
  void begin();
  Next handle_requests();
  Next call_handler();
  Next converse();
  Next end_given_away() noexcept;
  void fail(std::exception_ptr exception) noexcept;
  bool finish() noexcept;
  bool park_unfinished(CoarseTime now) noexcept;
  CoarseTime limit_of_unfinished(CoarseTime now) noexcept;
  void note_parked(CoarseTime limit, CoarseTime now, bool idle) noexcept;
  void file_for(CoarseTime limit, CoarseTime now) noexcept;
  void become(State state, CoarseTime limit) noexcept;
  bool leave_running() noexcept;
  void stay_running() noexcept;
  bool wait_for_more() noexcept;
  void limits_changed() override;
  int before_release(int descriptor) noexcept override;
  void close(Outcome outcome) noexcept;
  void close_replacement() noexcept;

  // Those of one byte come first, beside the lot's: thousands of connections may be parked.
  Phase phase_ = Phase::receive;
  Outcome expired_ = Outcome::none;
  Outcome ending_ = Outcome::none;  // how it ends once what is pending is sent
  bool verified_ = false;
  bool ready_ = true;
  bool failed_ = false;
  // Whether its socket was closed or moved by the handler, which may have put another one in its
  // place. Written under the lock of the server's list.
  bool given_away_ = false;
  bool ends_itself_ = false;              // by `end_input_after`
  std::atomic<bool> input_ended_{false};  // by `end_input`
  std::atomic<bool> asked_to_end_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> wants_place_{false};
  std::atomic<bool> parked_idle_{true};
  std::atomic<State> state_{State::running};
  Service* service_;
  std::unique_ptr<ReceivedDatagram> received_;  // null for a connection
  std::unique_ptr<BoundHandler> handler_;
  Address listener_;
  RequestReader reader_;
  std::atomic<CoarseTime> park_limit_{0};
  std::atomic<CoarseTime> parked_since_{0};
  std::atomic<CoarseTime> evicted_since_{0};
  Silence own_silence_;
  Silence* silence_ = &own_silence_;
  // Of an answer that waits for room to send: what the client had not taken when that was last
  // looked at, in the kernel's queue or pending, 0 if there is none; and when it last took some.
  std::size_t untaken_ = 0;
  CoarseTime progress_at_ = 0;
};

// A registry holds nothing else.
inline Connection& connection_of(Registered& registered) noexcept {
  return static_cast<Connection&>(registered);
}

// A point of the coarse clock as a deadline.
inline Deadline deadline_at(CoarseTime time) noexcept {
  return Deadline::Clock::time_point(std::chrono::nanoseconds(time));
}

// Marks this thread as running a handler of the server while it lives; `server_close` there would
// wait for itself.
class RunningMark {
 public:
  explicit RunningMark(const Service& service) noexcept;
  RunningMark(const RunningMark&) = delete;
  RunningMark& operator=(const RunningMark&) = delete;
  ~RunningMark();
  static bool is_set(const Service& service) noexcept;

 private:
  const Service* service_;
  const RunningMark* outer_;
};

}  // namespace net
