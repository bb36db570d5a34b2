/// \file
/// `net.server:connection`, internal: one connection, from accept to close; or one datagram, which
/// is served like a conversation of one message.
///
/// Its owner is always one of: the thread that accepts it, the `ProxyGate`, the serving thread
/// (ending it at a limit), a `Request` (held by a policy, or running), the parking lot, the `Tie`
/// of a child. `Custody` documents how the owner changes. Only the owner touches the connection,
/// except for the members that say otherwise. Only the owner closes its descriptor, so that cutting
/// never hits a reused number.
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

  // --- for the owner; "gone" means that the caller must not use the connection any more ---
  // Sets the client that a proxy has named. Throws if there is no memory.
  using Exchange::set_client;
  // Calls `verify_request`, once. Returns false if that has ended the connection: gone.
  bool verify() noexcept;
  // Does the work that needs no handler. After `over`: gone.
  Prepared prepare() noexcept;
  // Serves what has arrived. After `Next::close`: gone.
  Next step() noexcept;
  // Serves the connection to its end, waiting for its client in this thread. Gone.
  void run() noexcept;
  bool try_park() noexcept;
  // For a new connection: the parking lot owns it from here on.
  void become_parked() noexcept;
  // Parks a connection again that the caller got by `claim` or `edge` and did nothing with. Returns
  // false if there is something to do now: then the caller still owns it.
  bool give_back() noexcept;
  // Ends the connection. Gone.
  void end(Outcome outcome) noexcept;
  // Ends the connection as dropped, since it cannot be watched, and reports the exception that is
  // being handled. Gone.
  void end_unwatched() noexcept;
  // Ends a connection as dropped, because its policy has destroyed its `Request`. Gone.
  void drop() noexcept;
  // Ends a connection for which there is no slot, or whose client exceeds its limits (`why`), with
  // the answer of `on_overload`. Gone.
  void reject(Outcome why = Outcome::rejected) noexcept;
  inline ClientPlace& client_place() noexcept { return client_place_; }
  // Begins to wait in a policy's queue. This wait has a limit.
  void enter_queue() noexcept;
  // Ends that wait, if there is one. Returns false if it took too long, or if the connection was
  // cut meanwhile: gone.
  bool leave_queue() noexcept;

  // --- for any thread, while the connection is known to exist ---
  // Takes the connection if it is parked, because there is something to do. Returns true if the
  // caller owns it now.
  bool claim() noexcept;
  // Does the same for an event of epoll. A running connection will look for more input before it
  // parks.
  bool edge(std::uint32_t events) noexcept;
  inline State state() const noexcept { return custody_.state(); }
  inline const ParkTimes& park_times() const noexcept { return parked_; }
  inline QueuePlace& queue_place() noexcept { return queue_place_; }
  inline const QueuePlace& queue_place() const noexcept { return queue_place_; }
  // For a connection in a queue: returns whether it must end, because it was cut or has waited for
  // longer than its limit.
  inline bool is_overdue(CoarseTime now) const noexcept {
    return was_cut() || queue_place_.is_overdue(now);
  }
  // Note and return how many bytes of memory the connection holds while it is parked within a
  // request or an answer. Only the owner notes them.
  void note_held(std::size_t bytes) noexcept;
  inline std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
  // Shuts the connection down. Under the registry's lock, so that it never hits a descriptor that a
  // handler gave away.
  void cut() noexcept;
  // In the parent of a child: notes that the child has sent the client a last word, the answer to a
  // malformed, late or too large request.
  using Exchange::note_last_word;
  // In the parent of a child whose handler has given the socket away: returns the parent's own
  // socket, which is still listed in OwnDescriptors. Under the registry's lock.
  Socket leave_to_child() noexcept;
  // From here on, a child serves the connection and reports its requests.
  void leave_requests_to_child() noexcept;
  // In a process that was forked after the server was made: closes the descriptor, and sends
  // nothing to the peer.
  void close_in_child() noexcept;

  // The link in a RequestQueue.
  Connection* next_queued = nullptr;
  // The link in the parking lot's list of retired connections or, if the reaper has taken the
  // connection, in the list that the reaper returns.
  Connection* next_retired = nullptr;
  // For the parking lot: whether the connection was ever registered in epoll, whether it is now,
  // and whether it waits for buffer space to send.
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

  // Whether the connection, when it was last parked, waited for buffer space to send, or was
  // counted as holding memory. If so, the next park must update both.
  bool was_unfinished_ = false;
  bool owed_nothing_ = false;  // the socket may close without lingering
  Custody custody_;
  std::atomic<std::uint32_t> held_{0};
  ParkTimes parked_;
  QueuePlace queue_place_;
  ClientPlace client_place_;
  std::unique_ptr<ReceivedDatagram> received_;  // null unless this is a datagram
};

// A registry holds only connections.
inline Connection& connection_of(Registered& registered) noexcept {
  return static_cast<Connection&>(registered);
}

}  // namespace net
