/// \file
/// `net.server:listener`, internal: a bound socket, which accepts connections or receives
/// datagrams.
module net.server:listener;

import net.standard;
import net.socket;
import :backoff;
import :connection;
import :datagram_socket;
import :parking_lot;
import :poller;
import :request;
import :service;
import :socket_file;

namespace net {

class Listener;

// Accepts the connections or datagrams of listeners.
class Newcomers {
 public:
  // Called on the serving thread when a connection or a datagram waits.
  virtual void accept_from(Listener& listener) noexcept = 0;
  // Called for the same reason on a thread that waits on the parking lot. Returns how many requests
  // it put into `ready`.
  virtual std::size_t receive_from(Listener& listener, std::span<Request> ready) noexcept = 0;
  // Called when the listener cannot be polled any more.
  virtual void died(Listener& listener, int error) noexcept = 0;

 protected:
  ~Newcomers() = default;
};

// One bound socket. Usually the serving thread polls it. While a policy polls the parking lot
// itself, and `Acceptor` allows it, the waits on that lot poll the socket instead.
class Listener : public Watch, public Receiver {
 public:
  // What a result of accept(2) means, and what to do.
  enum class Verdict : std::uint8_t {
    nothing,    // no connection waits
    again,      // the connection failed, or a signal interrupted the call: take the next
    exhausted,  // the system has no descriptor or memory: try later
    dead,       // this socket will never accept again
  };
  static Verdict verdict(int error) noexcept;

  Listener(Service& service, Newcomers& newcomers, const Address& address, SocketFile file);

  void ready(std::uint32_t) override { newcomers_.accept_from(*this); }
  std::size_t receive(std::span<Request> ready) noexcept override {
    return newcomers_.receive_from(*this, ready);
  }

  // Takes and counts the next connection or datagram. `taken` is null if there was no memory for
  // it. Returns 0; EAGAIN if nothing waits, or if too many connections in a row have failed; or
  // another errno.
  int take(Connection*& taken) noexcept;
  // Call this when a wake-up found nothing to take.
  virtual void found_nothing() noexcept {}

  // Let the waits on the parking lot accept (`enter_lot`), or let the serving thread accept again
  // (`leave_lot`). To be called on the serving thread.
  void enter_lot();
  void leave_lot() noexcept;

  // Stop polling while the system is exhausted or no slot is free, and resume polling later. At
  // `until`, unless that is `never`, the timer wakes up the serving thread, which then resumes.
  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  void pause(CoarseTime until) noexcept;
  void resume() noexcept;
  bool paused() const noexcept { return paused_.load(); }
  CoarseTime paused_until() const noexcept { return paused_until_.load(); }
  // Pauses for the time that its `Backoff` returns.
  void back_off() noexcept;
  // Counts a spurious wake-up. After many in a row the listener backs off. Returns whether it did.
  bool came_in_vain() noexcept;
  // Keeps an error that a wait on the parking lot found, until the serving thread takes it.
  void keep_error(int error) noexcept { error_.store(error); }
  int take_error() noexcept { return error_.exchange(0); }

  const Address& address() const noexcept { return address_; }
  // Returns the socket if it should listen and does not yet; otherwise null.
  virtual Socket* to_activate() noexcept { return nullptr; }
  void set_adopted() noexcept { adopted_ = true; }
  bool dead() const noexcept { return fileno() < 0; }
  void close() noexcept;
  // Returns how many datagrams the kernel has dropped; 0 for a stream listener. From any thread.
  virtual std::uint64_t lost() const noexcept { return 0; }

  // Returns a duplicate of the socket, for another program; a closed one if this listener is dead.
  // From any thread.
  Socket duplicate();
  // Notes that this process serves the socket.
  inline void note_serving() noexcept { file_.note_serving(); }
  // For a process that was forked after the server was made. `move_to` moves the socket and its
  // file to a listener of the server that replaces the old one in that process. `close_in_child`
  // closes that process's copy of the socket.
  virtual std::unique_ptr<Listener> move_to(Service& service, Newcomers& newcomers) = 0;
  virtual void close_in_child() noexcept = 0;

 protected:
  virtual int take_one(Connection*& taken) noexcept = 0;
  virtual void close_socket() noexcept = 0;
  Service& service() const noexcept { return service_; }
  SocketFile& file() noexcept { return file_; }
  bool adopted() const noexcept { return adopted_; }
  // Keeps `close` from closing the socket while another thread uses it.
  std::unique_lock<std::mutex> hold_open() const;

 private:
  bool arm(bool armed) noexcept;

  Service& service_;
  Newcomers& newcomers_;
  const Address address_;
  SocketFile file_;
  std::atomic<CoarseTime> paused_until_{0};
  Backoff backoff_;
  mutable std::mutex closing_;
  std::mutex pausing_;  // a worker may pause while the serving thread resumes
  std::atomic<bool> paused_{false};
  std::atomic<int> error_{0};
  bool in_lot_ = false;
  bool adopted_ = false;
};

// Accepts connections.
class StreamListener final : public Listener {
 public:
  StreamListener(Service& service, Newcomers& newcomers, Socket socket, const Address& address,
                 SocketFile file);
  ~StreamListener() override;

  Socket* to_activate() noexcept override { return adopted() ? nullptr : &socket_; }
  int fileno() const noexcept override { return socket_.fileno(); }
  std::unique_ptr<Listener> move_to(Service& service, Newcomers& newcomers) override;
  void close_in_child() noexcept override { close_socket(); }

 private:
  int take_one(Connection*& taken) noexcept override;
  void close_socket() noexcept override;

  Socket socket_;
};

// Receives datagrams.
class DatagramListener final : public Listener {
 public:
  DatagramListener(Service& service, Newcomers& newcomers, Socket socket, const Address& address,
                   SocketFile file);

  void found_nothing() noexcept override { socket_->drop_errors(); }
  int fileno() const noexcept override { return socket_ ? socket_->fileno() : -1; }
  std::unique_ptr<Listener> move_to(Service& service, Newcomers& newcomers) override;
  void close_in_child() noexcept override;
  std::uint64_t lost() const noexcept override;

 private:
  int take_one(Connection*& taken) noexcept override;
  void close_socket() noexcept override;

  std::shared_ptr<DatagramSocket> socket_;
  std::uint64_t lost_ = 0;  // the count when the socket was closed
};

}  // namespace net
