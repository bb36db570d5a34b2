/// \file
/// `net.server:connection`, internal: one connection, from accept to close; or one datagram, which
/// is served as a conversation of one word.
///
/// Who owns it is always one of: whoever accepts it, the serving thread (ending it for a limit), a
/// `Request` (in a policy's hand, or running), the parking lot. `Custody` tells how it changes
/// hands. Only the owner touches it, but for what says otherwise; only the owner closes its
/// descriptor, so that cutting never hits a reused number.
module net.server:connection;

import net.standard;
import net.socket;
import net.handler;
import :client_silence;
import :counters;
import :custody;
import :datagram_socket;
import :handler_binding;
import :hooks;
import :poller;
import :registry;
import :request;
import :request_reader;
import :send_progress;
import :service;
import :shared_page;

namespace net {

class Connection final : public RequestContext, public Registered, private SocketWatch {
 public:
  using State = Custody::State;

  // The listener's address must outlive the connection.
  Connection(Service& service, Socket socket, const Address& peer,
             const Address& listener) noexcept;
  Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
             const DatagramSocket::Arrival& arrival);
  ~Connection() override;

  // RequestContext
  const Address& server_address() const noexcept override { return *listener_; }
  void shutdown() noexcept override;
  bool stopping() const noexcept override;
  Stats stats() const override;

  // The server's own view, which sends nothing first.
  inline Socket& socket() noexcept { return stream().socket(); }
  inline Service& service() const noexcept { return *service_; }
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
  // Begins the wait in a policy's queue, which has a limit.
  void enter_queue() noexcept;
  // Ends it, if there is one; false if it took too long: the connection is gone then.
  inline bool leave_queue() noexcept {
    if (wants_place_.load(std::memory_order_relaxed)) [[unlikely]] {
      wants_place_.store(false, std::memory_order_relaxed);
    }
    return !in_queue() || end_wait_in_queue();
  }
  // Goes on waiting, within the time that it had.
  void rejoin_queue() noexcept { in_queue_.store(true); }
  // Whether the client of a conversation that waits has said nothing, and will not.
  bool left_unheard() noexcept;
  Deadline queue_deadline() const noexcept;
  // How the next step ends the connection, unless something arrived meanwhile.
  inline void expire(Outcome outcome) noexcept { expired_ = outcome; }

  // --- for anyone, while the connection is known to exist ---
  // Says that there is something to do; true if the caller owns the connection now.
  bool claim() noexcept;
  // The same, for an event of epoll.
  bool edge(std::uint32_t events) noexcept;
  // Since when it waits for its client in that state, and could be evicted; 0 if it does not.
  CoarseTime silent_since(State state) const noexcept;
  // Since when what runs it waits for its client, wherever; 0 if it does not.
  CoarseTime waits_since() const noexcept;
  // Ends its input, in whichever thread or process it is read: what has arrived is still read. As
  // `cut`, under the lock of the server's list.
  void end_input() noexcept;
  // In a child, also from a signal handler: has the connection end after the request at hand. A
  // conversation that is not silent sees the end of its input at its next silence.
  void ask_to_end() noexcept;
  // Has its input end by itself in a silence of that length. For the owner.
  void end_input_after(std::chrono::milliseconds quiet);
  // That its policy has no place for it, and asked for somebody else's.
  inline void want_place() noexcept { wants_place_.store(true, std::memory_order_relaxed); }
  inline bool wants_place() const noexcept { return wants_place_.load(std::memory_order_relaxed); }
  // Whether it waits in the queue of a policy with a limit, and whether nobody is to run it any
  // more.
  inline bool in_queue() const noexcept { return in_queue_.load(std::memory_order_relaxed); }
  bool is_overdue(CoarseTime now) const noexcept {
    return was_cut() || (in_queue() && now >= park_times().limit.load());
  }
  // Nobody is to run it any more.
  void make_overdue() noexcept { parked_.limit.store(0); }
  inline State state() const noexcept { return custody_.state(); }
  inline const ParkTimes& park_times() const noexcept { return parked_; }
  inline ClientSilence& silence() noexcept { return silence_; }
  // Where its waits for the client are noted from now on. Before a fork.
  void note_silence_in(Silence& shared) noexcept;
  void note_silence_in_own() noexcept;
  // The memory that it holds while it is parked amid a request or an answer. Noted by the owner.
  void note_held(std::size_t bytes) noexcept;
  inline std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
  inline bool was_cut() const noexcept { return cut_.load(std::memory_order_relaxed); }
  // Under the lock of the server's list, so that it meets no descriptor that a handler gave away.
  void cut() noexcept;
  // In the parent of a child whose handler has given the socket away: returns ours, which is still
  // listed. Under the same lock.
  Socket leave_to_child() noexcept;
  // In a process that was forked since: closes its descriptors, and says nothing to the peer.
  void close_in_child() noexcept;

  // A RequestQueue's.
  Connection* next_queued = nullptr;
  // The list of the retired in the parking lot and, while one is owned by a sweep, of the swept.
  Connection* next_retired = nullptr;
  // The parking lot's: registered in epoll, ever and now; waiting for room to send.
  bool entered = false;
  bool registered = false;
  bool wants_output = false;

 private:
  // Whether there is nothing to do before the next request is read.
  inline bool only_reads() const noexcept {
    return !reader_.reads_one() && expired_ == Outcome::none && ending_ == Outcome::none &&
           !is_owed();
  }
  // Whether its client has to take something before the next request.
  inline bool is_owed() const noexcept { return stream().is_pending() || more_; }
  bool end_wait_in_queue() noexcept;
  Prepared prepare_or_throw(bool may_finish);
  Prepared prepare_request(bool may_finish);
  Prepared end_expired(bool may_finish);
  Prepared finish_and_end(Outcome outcome, bool may_finish);
  bool client_takes_some(CoarseTime now) noexcept;
  bool has_come();
  bool something_arrived() noexcept;
  bool has_room() noexcept;
  void begin();
  Next handle_requests();
  Next handle_more();
  Next go_on_later();
  Next keep();
  Next end_served();
  Next call_handler(CoarseTime since);
  Next converse();
  Outcome outcome_of_conversation() noexcept;
  Next end_given_away() noexcept;
  void fail(std::exception_ptr exception) noexcept;
  bool finish() noexcept;
  bool park_unfinished(CoarseTime now) noexcept;
  CoarseTime limit_of_answer(CoarseTime now) noexcept;
  void note_parked(CoarseTime limit, CoarseTime now, CoarseTime since, bool idle) noexcept;
  bool ends_in_drain() const noexcept;
  void file_for(CoarseTime limit, CoarseTime now) noexcept;
  bool park() noexcept;
  void look_again() noexcept;
  bool wait_for_more() noexcept;
  void wait_for_room() noexcept;
  void limits_changed() override;
  int before_release(int descriptor, bool closing) noexcept override;
  void close(Outcome outcome) noexcept;
  void tell_parent(Outcome outcome) noexcept;

  // Those of one byte come first, beside the lot's: thousands of connections may be parked.
  Phase phase_ = Phase::verify_request;
  Outcome expired_ = Outcome::none;
  Outcome ending_ = Outcome::none;  // how it ends once what is pending is sent
  bool ready_ = true;
  bool more_ = false;  // the handler goes on with its answer
  // While it was parked last, amid a request or an answer: it waits for room to send, or is counted
  // as holding memory.
  bool was_unfinished_ = false;
  // Whether its socket was closed or moved by the handler, which may have put another one in its
  // place. Written under the lock of the server's list.
  bool given_away_ = false;
  bool ends_itself_ = false;  // by `end_input_after`
  std::atomic<bool> cut_{false};
  std::atomic<bool> in_queue_{false};
  std::atomic<bool> wants_place_{false};
  Custody custody_;
  std::atomic<std::uint32_t> held_{0};
  ParkTimes parked_;
  Service* service_;
  std::unique_ptr<ReceivedDatagram> received_;  // null for a connection
  std::unique_ptr<BoundHandler> handler_;
  const Address* listener_;  // its listener's, which lives as long as the server
  RequestReader reader_;
  ClientSilence silence_;
  SendProgress progress_;
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
