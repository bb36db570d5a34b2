/// \file
/// `net.server:acceptor`, internal: the listeners of a server, and how its connections come in.
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

// Accepts and receives, while there are slots: on the serving thread, or where a policy waits in
// the lot. All calls are the serving thread's, but for those of `Newcomers` that say otherwise.
class Acceptor final : private Newcomers {
 public:
  Acceptor(Service& service, Dispatcher& dispatcher, Reaper& reaper, AnyServerParts& parts);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Before serving, in the thread that makes the server.
  void bind();
  void activate();
  // From any thread.
  bool active() const noexcept { return active_; }
  std::size_t listeners() const noexcept;
  Address address(std::size_t listener) const;
  std::uint64_t datagrams_lost() const noexcept;
  std::vector<Socket> duplicate_listeners() const;

  // This process serves the server.
  void note_serving() noexcept;
  // While the server serves, a policy that polls the lot by itself accepts there.
  void accept_in_lot(bool in_lot) noexcept;
  // Resumes the listeners for which there is a slot, or whose time to pause is over.
  void resume(CoarseTime now) noexcept;
  // Throws the error of the last listener if none is left.
  void throw_if_dead() const;
  bool all_dead() const noexcept;
  // While the server drains: who got through to the kernel got through to us.
  void accept_rest() noexcept;
  void close() noexcept;

  // In a process that was forked since: takes over what the acceptor of the server in whose place
  // this one is has; or closes its own.
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
  std::chrono::steady_clock::time_point last_batch_;  // when listeners were last accepted from
  bool gathered_ = false;                             // before that, new ones queued up
  unsigned not_gathering_ = 0;                        // batches, until that is tried again
};

}  // namespace net
