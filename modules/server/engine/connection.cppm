/// \file
/// `net.server:connection`, internal: one connection, from accept to close; or one datagram, which
/// is served as a conversation of one word.
///
/// Its owner is always one of: the thread that accepts it, the `ProxyGate`, the serving thread
/// (ending it for a limit), a `Request` (in a policy's hand, or running), the parking lot, the
/// `Tie` of a child. `Custody` tells how it changes hands. Only the owner touches it, but for what
/// says otherwise; only the owner closes its descriptor, so that cutting never hits a reused
/// number.
module net.server:connection;

import net.standard;
import net.socket;
import net.handler;
import :client_silence;
import :client_table;
import :custody;
import :datagram_socket;
import :exchange;
import :hooks;
import :poller;
import :queue_place;
import :registry;
import :request;
import :request_log;
import :service;
import :shared_page;

namespace net {

class Connection final : public Exchange, public Registered, private SocketWatch {
 public:
  using State = Custody::State;
  using Exchange::Prepared;

  // The listener's address must outlive the connection.
  Connection(Service& service, Socket socket, const Address& peer,
             const Address& listener) noexcept;
  Connection(Service& service, const std::shared_ptr<DatagramSocket>& socket,
             const DatagramSocket::Arrival& arrival);
  ~Connection() override;

  // --- for the owner; where it says so, the connection may be gone after it ---
  // A proxy has told who the client is. Throws if there is no memory.
  void introduce(const Address& client) { set_client(client); }
  // Asks `verify_request`, once; false if it is gone.
  bool verify() noexcept;
  // Does what needs no handler.
  Prepared prepare() noexcept;
  // Serves what is here; gone after `close`.
  Next step() noexcept;
  // Serves it to its end, waiting in this thread. Gone.
  void run() noexcept;
  bool try_park() noexcept;
  // For a new connection: it is the lot's from here on.
  void become_parked() noexcept;
  // Parks again what `claim` or `edge` gave the caller and it did nothing with; false if there is
  // something to do now: the caller keeps it.
  bool give_back() noexcept;
  // Ends it. Gone.
  void end(Outcome outcome) noexcept;
  // Ends it as dropped, since it cannot be watched: with the exception that is being handled. Gone.
  void end_unwatched() noexcept;
  // Ends what a policy would not run. Gone.
  void drop() noexcept;
  // Ends what there is no place for, with the answer of `on_overload`. Gone.
  void reject(Outcome why = Outcome::rejected) noexcept;
  inline ClientPlace& client_place() noexcept { return client_place_; }
  // Begins the wait in a policy's queue, which has a limit.
  void enter_queue() noexcept;
  // Ends it, if there is one; false if it took too long: it is gone then.
  bool leave_queue() noexcept;

  // --- for anyone, while the connection is known to exist ---
  // Says that there is something to do; true if the caller owns the connection now.
  bool claim() noexcept;
  // The same, for an event of epoll.
  bool edge(std::uint32_t events) noexcept;
  inline State state() const noexcept { return custody_.state(); }
  inline const ParkTimes& park_times() const noexcept { return parked_; }
  inline QueuePlace& queue_place() noexcept { return queue_place_; }
  inline const QueuePlace& queue_place() const noexcept { return queue_place_; }
  // Whether it waits in a queue for nothing.
  inline bool is_overdue(CoarseTime now) const noexcept {
    return was_cut() || queue_place_.is_overdue(now);
  }
  // The memory that it holds while it is parked amid a request or an answer. Noted by the owner.
  void note_held(std::size_t bytes) noexcept;
  inline std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
  // Under the lock of the server's list, so that it meets no descriptor that a handler gave away.
  void cut() noexcept;
  // In the parent of a child that has said a last word to the client.
  using Exchange::note_last_word;
  // In the parent of a child whose handler has given the socket away: returns ours, which is still
  // listed. Under the same lock.
  Socket leave_to_child() noexcept;
  // Its requests are served, and told of, by a child.
  void leave_requests_to_child() noexcept;
  // In a process that was forked since: closes its descriptors, and says nothing to the peer.
  void close_in_child() noexcept;

  // A RequestQueue's link.
  Connection* next_queued = nullptr;
  // The list of the retired in the parking lot and, while one is owned by a sweep, of the swept.
  Connection* next_retired = nullptr;
  // The parking lot's: registered in epoll, ever and now; waiting for room to send.
  struct InLot {
    bool entered = false;
    bool registered = false;
    bool wants_output = false;
  };
  InLot in_lot;

 private:
  bool park() noexcept;
  void note_unfinished(ClientSilence::Wait what) noexcept;
  void note_parked(const Awaited& awaited, CoarseTime now) noexcept;
  int before_release(int descriptor, bool closing) noexcept override;
  void received(std::size_t bytes) noexcept override { handler().log()->received(bytes); }
  void sent(std::size_t bytes) noexcept override { handler().log()->sent(bytes); }
  void watch_socket() noexcept;
  void close(Outcome outcome) noexcept;
  void tell_parent(Outcome outcome) noexcept;
  void tell_requests(Outcome outcome) noexcept;

  // While it was parked last, amid a request or an answer: it waits for room to send, or is counted
  // as holding memory.
  bool was_unfinished_ = false;
  bool owed_nothing_ = false;  // its peer, by a close
  Custody custody_;
  std::atomic<std::uint32_t> held_{0};
  ParkTimes parked_;
  QueuePlace queue_place_;
  ClientPlace client_place_;
  std::unique_ptr<ReceivedDatagram> received_;  // null for a connection
};

// A registry holds nothing else.
inline Connection& connection_of(Registered& registered) noexcept {
  return static_cast<Connection&>(registered);
}

}  // namespace net
