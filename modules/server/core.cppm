/// \file
/// `net.server:core`, internal: what the connections, the listeners and the loop of one server
/// share.
module net.server:core;

import net.standard;
import net.socket;
import net.handler;
import :closer;
import :connection;
import :datagram_socket;
import :due_timer;
import :forked;
import :handler_binding;
import :hooks;
import :listener;
import :options;
import :parking_lot;
import :poller;
import :policy;
import :registry;
import :server_parts;
import :socket_file;

namespace net {

// Shared memory: what a child counts and asks must reach its parent.
struct SharedPage {
  struct Counters {
    std::atomic<std::uint64_t> requests{0}, handler_errors{0}, hook_errors{0}, peer_gone{0},
        time_outs{0};
  };
  struct ChildSlot {
    std::atomic<int> process{0};  // 0: free; -1: being taken, or being given back
    std::atomic<Outcome> outcome{Outcome::none};
    std::atomic<bool> detached{false};  // by the handler, which left it to somebody else
    Silence silence;
  };
  static constexpr std::size_t most_children = 1024;

  std::atomic<bool> stop{false};
  std::atomic<bool> draining{false};
  Counters counters;
  ReceivedDatagram::Counters datagrams;
  std::array<ChildSlot, most_children> children;
};

// In the order in which it is read: there is one for each server.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
class ServerCore {
 public:
  explicit ServerCore(AnyServerParts& parts);
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;
  ~ServerCore();

  // --- binding ---
  void bind();
  void activate();
  bool active() const noexcept { return active_; }
  Address address(std::size_t listener) const;
  std::size_t listeners() const noexcept;

  // --- the serving thread ---
  // Serves until `shutdown`, or until the last listener is dead: throws its error.
  void serve(std::chrono::milliseconds poll_interval);
  // Serves one event, within `deadline`; while a shutdown is pending, without waiting for one.
  enum class Served : std::uint8_t { event, nothing, stopped };
  Served serve_one(Deadline deadline);
  // Closes; see BaseServer::server_close. The drain begins before the serving thread is free: a
  // conversation that holds it must hear of it. `begin_drain` from any thread; it returns what was
  // counted until then.
  Stats begin_drain();
  DrainReport drain(Deadline deadline, const Stats& before);
  // Serves on until no connection is left: for handlers that were stuck.
  void wait_for_connections();
  void call_handle_timeout() noexcept;

  // --- for listeners ---
  // Its readiness says that somebody waits.
  void accept_from(Listener& listener) noexcept;
  void welcome(int descriptor, std::span<const std::byte> peer, const Listener& listener) noexcept;
  void welcome(Connection& connection) noexcept;
  // The same where the lot is waited on.
  void welcome_in_lot(int descriptor, std::span<const std::byte> peer,
                      const Listener& listener) noexcept;
  // Counts a datagram in; null if there is no memory for it. As the next three, from any thread.
  Connection* make_datagram(const std::shared_ptr<DatagramSocket>& socket,
                            const DatagramSocket::Arrival& arrival) noexcept;
  // How many may come in.
  std::size_t room() const noexcept;
  // What a listener tells that paused elsewhere: until there is room, or to have its error seen to.
  void waits_for_room() noexcept;
  void waits_for_serving_thread() noexcept;
  void accept_failed(const Listener& listener, int error) noexcept;
  void listener_died(Listener& listener, int error) noexcept;
  bool close_lingering() noexcept { return closer_.close_all(); }

  // --- in a process that was forked since the server was made ---
  // The server belongs to the process that made it; what it has there (epoll instances, eventfds,
  // the page, threads) may not be touched elsewhere.
  inline bool forked_away() const noexcept { return process_ != this_process(); }
  // Whether this one can be served nowhere else any more: it was closing, or this process closed
  // its descriptors.
  bool is_lost() const noexcept {
    return closed || closing || OwnDescriptors::closed_here(process_);
  }
  bool stop_asked() const noexcept { return stop_.load(); }
  // Makes a server in the place of this one, with the same listeners, for this process to serve:
  // all that it would share with the parent is made anew. Throws, and may be tried again unless
  // this one has become `closed`.
  std::unique_ptr<ServerCore> make_heir();
  // Closes the descriptors that are left. Nothing is destroyed or told anybody.
  void leave() noexcept;
  // Whether this process has forked since it made or last served the server, and so may have left
  // it to a child.
  bool forked() const noexcept { return forks_seen_.load() != forks_by_host(); }

  // To be called before the serving thread serves, and after.
  void begin_serving();
  void end_serving() noexcept { forks_seen_.store(forks_by_host()); }

  // --- from any thread ---
  void shutdown() noexcept;
  void restart() noexcept;
  void tell(const RequestError& error) noexcept;
  void tell_hook_error(Phase phase, const Address& client_address) noexcept;
  void tell_policy_error(const Address& client_address) noexcept;
  void count(Outcome outcome) noexcept;
  std::string overload_answer(const Address& client_address) noexcept;
  // Ends connections that have been silent for longest: for one newcomer, or for those that want a
  // place of their policy. Those that are leaving count. On the serving thread.
  bool evict_for_newcomer() noexcept { return evict_silent(true); }
  bool evict_for_waiting() noexcept { return evict_silent(false); }
  bool lingers_enough() const noexcept { return closer_.size() >= most_rejected_; }
  // Whether a listener that has accepted somebody should look for more.
  bool goes_on_accepting() const noexcept;
  void linger(Socket socket) noexcept { closer_.add(std::move(socket)); }
  void linger_until_taken(Socket socket) noexcept { closer_.add_until_taken(std::move(socket)); }
  // Takes a connection out of the list: no sweep and no cut meets it any more.
  void unlink(Connection& connection) noexcept;
  // Counts a connection out; the last that its end touches of the core.
  void gone() noexcept;
  Stats stats();
  void cut_all() noexcept;
  // While the server drains: ends the input of those that have been silent for the quiet grace.
  void end_silent() noexcept;

  // --- children ---
  std::size_t take_child_slot();
  void kill_children() noexcept;
  // Asks the hook; what the connection is to end as, none if it stays.
  Outcome verify(Connection& connection) noexcept;
  std::mutex& closer_mutex() noexcept { return closer_.mutex(); }
  bool in_child() const noexcept { return child_slot != no_child; }

  const ServerOptions options;
  const std::shared_ptr<HandlerMaker> maker;
  std::shared_ptr<AnyPolicy> policy;
  SharedPage& page;
  Wakeup wakeup;
  Poller poller;
  DueTimer timer;  // whatever has a time at which the serving thread must act asks it for that

 private:
  // A policy that takes the lot of its context polls it for all servers that share it. Without,
  // each server polls its own.
  std::unique_ptr<ParkingLot> own_lot_;

 public:
  ParkingLot& lot;
  Registry registry{timer};
  static constexpr std::size_t no_child = std::numeric_limits<std::size_t>::max();
  std::size_t child_slot = no_child;  // in a child: where its outcome goes

  // --- who serves: one thread at a time ---
  std::mutex serving_mutex;
  std::condition_variable serving_changed;
  bool serving = false;
  bool closing = false;  // a thread is in `server_close`
  bool closed = false;
  DrainReport report;
  std::atomic<std::uint64_t> drained{0};

 private:
  // A watch that calls a function of the core.
  class CallingWatch final : public Watch {
   public:
    using Function = void (ServerCore::*)();
    CallingWatch(ServerCore& core, Function function) noexcept;
    void ready(std::uint32_t events) override;

   private:
    ServerCore& core_;
    Function function_;
  };

  // Polls once, then does what is due; returns whether the poll found anything.
  bool turn(Deadline until);
  void time_has_come();
  void do_what_is_due(CoarseTime now) noexcept;
  void woken();
  void dispatch_policy();
  void dispatch_parking_lot();
  void resume_listeners(CoarseTime now) noexcept;
  bool full() const noexcept { return registry.size() >= max_connections_; }
  std::size_t make_room() noexcept;
  void let_newcomers_gather(std::size_t accepted) noexcept;
  bool evict_silent(bool for_newcomer) noexcept;
  bool evict_longest(CoarseTime now, bool parked_too) noexcept;
  void accept_rest() noexcept;
  void expire_due(CoarseTime now) noexcept;
  void sweep(CoarseTime now) noexcept;
  Connection* look_at(Connection& connection, CoarseTime now) noexcept;
  Connection* sweep_one(Connection& connection, CoarseTime now) noexcept;
  void end_expired(Connection* expired) noexcept;
  void hand_over(Connection& connection) noexcept;
  void serve_parked(Connection& connection) noexcept;
  void service_actions() noexcept;
  void close_listeners() noexcept;
  std::uint64_t datagrams_lost() const noexcept;
  void take_over(ServerCore& before);
  bool start_policy() noexcept;
  std::unique_ptr<Listener> bind_one(const Address& address);
  std::unique_ptr<Listener> adopt_one(Socket socket);
  std::unique_ptr<Listener> make_listener(Socket socket, SocketFile file);
  bool may_accept_in_lot() const noexcept;
  void accept_in_lot(bool in_lot) noexcept;
  Connection* make_connection(int descriptor, std::span<const std::byte> peer,
                              const Listener& listener) noexcept;
  ServerHooks& hooks() noexcept { return hooks_ != nullptr ? *hooks_ : default_hooks_; }
  bool all_dead() const noexcept;
  std::uint64_t ended_as(Outcome outcome) const noexcept;

  ServerHooks default_hooks_;
  ServerHooks* hooks_;  // null: the default ones, which need no calls in time
  const bool verifies_;
  const ServerKind kind_;
  const std::size_t max_connections_;
  const std::size_t most_rejected_;  // lingering, so that rejecting stays cheap
  std::vector<Address> addresses_;
  std::vector<Socket> adopted_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Closer closer_;
  CallingWatch wake_watch_;
  CallingWatch timer_watch_;
  CallingWatch policy_watch_;
  CallingWatch lot_watch_;
  std::size_t events_left_ = 0;  // that this turn may serve
  CoarseTime due_at_ = 0;        // when the timer fired in this turn; 0: it did not
  std::chrono::steady_clock::time_point last_batch_;  // when listeners were last accepted from
  bool gathered_ = false;                             // before that, newcomers were let gather
  unsigned not_gathering_ = 0;                        // batches, until that is tried again
  bool places_wanted_ = false;
  bool cutting_ = false;
  bool closing_ = false;  // in `drain`
  bool policy_drained_ = false;
  bool active_ = false;
  Deadline drain_deadline_ = Deadline::never();
  std::atomic<CoarseTime> drain_since_{0};
  std::atomic<bool> room_made_{false};  // a connection ended since
  std::atomic<bool> paused_{false};     // some listener waits for room
  std::exception_ptr last_listener_error_;
  std::array<std::atomic<std::uint64_t>, outcomes> outcomes_{};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> accept_errors_{0};
  std::atomic<std::uint64_t> policy_errors_{0};
  const Process process_ = this_process();  // that made it
  std::atomic<unsigned> forks_seen_{forks_by_host()};
  bool served_ = false;            // in this process
  std::atomic<bool> stop_{false};  // as page.stop, but each process has its own
};

// The servers of this process, for the moment of a fork.
class Servers {
 public:
  static void add(ServerCore& core);
  static void remove(const ServerCore& core) noexcept;
  // Takes every lock that a child may need, so that none is left locked in it by a thread that it
  // does not have, and lists are whole.
  static void lock() noexcept;
  static void unlock() noexcept;
};

}  // namespace net
