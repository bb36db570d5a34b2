/// \file
/// `net.server:acceptor`, internal: the listeners of a server, and how it accepts connections.
module net.server:acceptor;

import net.standard;
import net.socket;
import :connection;
import :dispatcher;
import :listener;
import :poller;
import :reaper;
import :request;
import :server_parts;
import :service;

namespace net {

// Accepts connections and receives datagrams while slots are free: on the serving thread or, if a
// policy polls the parking lot itself, on the threads that wait there. The functions are called on
// the serving thread, except where a comment, here or in `Newcomers`, says otherwise.
class Acceptor final : private Newcomers {
 public:
  Acceptor(Service& service, Dispatcher& dispatcher, Reaper& reaper, AnyServerParts& parts);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // To be called before the server serves, by one thread at a time.
  void bind();
  void activate();
  // From any thread.
  bool active() const noexcept { return active_; }
  std::size_t listeners() const noexcept;
  Address address(std::size_t listener) const;
  std::uint64_t datagrams_lost() const noexcept;
  std::vector<Socket> duplicate_listeners() const;

  // Notes that this process serves the server.
  void note_serving() noexcept;
  // Moves the listeners to the parking lot while the server serves, so that a policy that polls
  // that lot accepts there; or moves them back. Does nothing unless `may_accept_in_lot`.
  void accept_in_lot(bool in_lot) noexcept;
  // Resumes the paused listeners: all if a slot was freed, else those whose pause is over or that
  // can reject clients again. Handles the errors that listeners have kept.
  void resume(CoarseTime now) noexcept;
  // If every listener is dead, throws the error of the one that died last.
  void throw_if_dead() const;
  bool all_dead() const noexcept;
  // While the server drains: accepts the connections that wait in the kernel's queues, and closes
  // the listeners whose queues are empty.
  void accept_rest() noexcept;
  void close() noexcept;

  // In a process that was forked after the server was made: takes over the listeners of the
  // acceptor that this one replaces (`take_over`), or closes its own (`close_in_child`).
  void take_over(Acceptor& before);
  void close_in_child() noexcept;
  const std::vector<Address>& addresses() const noexcept { return addresses_; }
  ServerKind kind() const noexcept { return kind_; }

 private:
  // Newcomers
  void accept_from(Listener& listener) noexcept override;
  std::size_t receive_from(Listener& listener, std::span<Request> ready) noexcept override;
  void died(Listener& listener, int error) noexcept override;

  std::unique_ptr<Listener> bind_one(const Address& address);
  std::unique_ptr<Listener> adopt_one(Socket socket);
  std::unique_ptr<Listener> make_listener(Socket socket, SocketFile file);
  std::size_t make_room() noexcept;
  std::size_t take(Listener& listener, std::size_t most) noexcept;
  void failed(Listener& listener, int error) noexcept;
  std::size_t room_in_lot(Listener& listener) noexcept;
  void leave_to_serving_thread() noexcept;
  void enter_lot(Connection& connection) noexcept;
  bool may_accept_in_lot() const noexcept;
  void let_newcomers_gather(std::size_t accepted) noexcept;

  Service& service_;
  Dispatcher& dispatcher_;
  Reaper& reaper_;
  const ServerKind kind_;
  const std::vector<Address> addresses_;
  std::vector<Socket> adopted_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool active_ = false;
  std::exception_ptr last_error_;
  std::chrono::steady_clock::time_point last_batch_;  // when a listener last accepted
  bool gathered_ = false;                             // the thread slept since then
  unsigned not_gathering_ = 0;                        // batches until it may sleep again
};

}  // namespace net
