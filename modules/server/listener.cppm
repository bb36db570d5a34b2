/// \file
/// `net.server:listener`, internal: where connections and datagrams come in.
module net.server:listener;

import net.standard;
import net.socket;
import :datagram_socket;
import :parking_lot;
import :poller;
import :request;
import :socket_file;

namespace net {

class Connection;
class ServerCore;

// One bound socket in the serving loop.
class Listener : public Watch {
 public:
  // What accept(2) says, and what is to be done about it.
  enum class Verdict : std::uint8_t {
    nothing,    // no connection waits
    again,      // this one went away, or we were interrupted: the next
    exhausted,  // the system has no descriptor or memory: later
    dead,       // this socket will never accept again
  };
  static Verdict verdict(int error) noexcept;

  Listener(ServerCore& core, const Address& address, SocketFile file) noexcept;

  void ready(std::uint32_t events) override;
  // Takes what is there, at most `most` connections or datagrams; returns how many.
  virtual std::size_t accept(std::size_t most) noexcept = 0;

  // Stops and resumes polling: while the system is exhausted, or all places are taken.
  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  void pause(CoarseTime until) noexcept;
  void resume() noexcept;
  bool paused() const noexcept { return paused_.load(); }
  CoarseTime paused_until() const noexcept { return paused_until_.load(); }

  const Address& address() const noexcept { return address_; }
  // The socket, if it does not listen yet and should.
  virtual Socket* to_activate() noexcept { return nullptr; }
  // Sees to what a thread came upon that only the serving one can deal with.
  virtual void look_into_error() noexcept {}
  void set_adopted() noexcept { adopted_ = true; }
  virtual int fileno() const noexcept = 0;
  bool dead() const noexcept { return fileno() < 0; }
  virtual void close() noexcept = 0;
  // In a child, where the epoll instances and the file are the parent's. `own` is the descriptor of
  // what the child serves.
  virtual void close_in_child(int own) noexcept = 0;

 protected:
  // Pauses, a while longer each time until `succeeded`.
  void back_off() noexcept;
  void succeeded() noexcept { back_off_ = vain_ = 0; }
  // Was told that somebody waits, and nobody did. Happens; but who is told so again and again, as
  // of a socket that others have shut down, pauses. True if it did.
  bool came_in_vain() noexcept;
  virtual bool arm(bool armed) noexcept;
  ServerCore& core() const noexcept { return core_; }
  SocketFile& file() noexcept { return file_; }
  bool adopted() const noexcept { return adopted_; }

 private:
  ServerCore& core_;
  const Address address_;
  SocketFile file_;
  std::atomic<CoarseTime> paused_until_{0};
  std::int64_t back_off_ = 0;  // milliseconds; doubles while accepting fails
  std::int64_t vain_ = 0;      // calls in a row for nothing
  std::mutex pausing_;         // a worker may pause what the serving thread resumes
  std::atomic<bool> paused_{false};
  bool adopted_ = false;
};

// Accepts connections.
class StreamListener final : public Listener {
 public:
  StreamListener(ServerCore& core, Socket socket, SocketFile file);

  std::size_t accept(std::size_t most) noexcept override;
  Socket* to_activate() noexcept override { return adopted() ? nullptr : &socket_; }
  int fileno() const noexcept override { return socket_.fileno(); }
  void close() noexcept override;
  void close_in_child(int own) noexcept override;

 private:
  Socket socket_;
};

// Receives datagrams: on the serving thread or, while a policy polls the parking lot by itself,
// where that waits.
class DatagramListener final : public Listener, public Receiver {
 public:
  DatagramListener(ServerCore& core, Socket socket, SocketFile file);

  std::size_t accept(std::size_t most) noexcept override;
  std::size_t receive(std::span<Request> ready) noexcept override;
  int fileno() const noexcept override { return socket_ ? socket_->fileno() : -1; }
  void close() noexcept override;
  void close_in_child(int own) noexcept override;

  // Gives the receiving to the lot's waits, and takes it back. On the serving thread.
  void enter_lot();
  void leave_lot() noexcept;
  void look_into_error() noexcept override;
  std::uint64_t lost() const noexcept;

 private:
  enum class Taken : std::uint8_t { datagram, nothing, failed };
  // Takes the next one; null if there is none, or no memory for it.
  Taken take(Connection*& datagram, int& error) noexcept;
  void failed(int error) noexcept;
  bool arm(bool armed) noexcept override;

  std::shared_ptr<DatagramSocket> socket_;
  mutable std::mutex closing_;  // for `lost`, which comes from any thread
  bool in_lot_ = false;
  std::atomic<int> error_{0};  // what receiving in the lot came upon
  std::uint64_t lost_ = 0;     // when it was closed
};

}  // namespace net
