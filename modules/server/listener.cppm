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

// One bound socket: in the serving loop or, while a policy polls the parking lot by itself and
// nothing speaks against it, where that waits.
class Listener : public Watch, public Receiver {
 public:
  // What accept(2) says, and what is to be done about it.
  enum class Verdict : std::uint8_t {
    nothing,    // no connection waits
    again,      // this one went away, or we were interrupted: the next
    exhausted,  // the system has no descriptor or memory: later
    dead,       // this socket will never accept again
  };
  static Verdict verdict(int error) noexcept;

  Listener(ServerCore& core, const Address& address, SocketFile file);

  void ready(std::uint32_t events) override;
  // Takes what is there, at most `most` connections or datagrams; returns how many.
  virtual std::size_t accept(std::size_t most) noexcept = 0;

  // Gives the accepting to the lot's waits, and takes it back. On the serving thread.
  void enter_lot();
  void leave_lot() noexcept;

  // Stops and resumes polling: while the system is exhausted, or all places are taken. The serving
  // thread is told when it is time to resume.
  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  void pause(CoarseTime until) noexcept;
  void resume() noexcept;
  bool paused() const noexcept { return paused_.load(); }
  CoarseTime paused_until() const noexcept { return paused_until_.load(); }

  const Address& address() const noexcept { return address_; }
  // The socket, if it does not listen yet and should.
  virtual Socket* to_activate() noexcept { return nullptr; }
  // Sees to what a wait of the lot came upon.
  void look_into_error() noexcept;
  void set_adopted() noexcept { adopted_ = true; }
  bool dead() const noexcept { return fileno() < 0; }
  void close() noexcept;
  // This process serves it.
  inline void note_serving() noexcept { file_.note_serving(); }
  // In a process that was forked since: gives socket and file to a listener of the server that
  // takes this one's place there, or closes the socket.
  virtual std::unique_ptr<Listener> move_to(ServerCore& core) = 0;
  virtual void close_in_child() noexcept = 0;

 protected:
  // Pauses, a while longer each time until `succeeded`.
  void back_off() noexcept;
  void succeeded() noexcept { back_off_ = vain_ = 0; }
  // Was told that somebody waits, and nobody did. Happens; but who is told so again and again, as
  // of a socket that others have shut down, pauses. True if it did.
  bool came_in_vain() noexcept;
  // What accept or receive said. True if it may be tried again at once; on the serving thread.
  bool failed(int error) noexcept;
  // The same, in the lot.
  void failed_in_lot(int error) noexcept;
  // How many may come in by the lot now; if none, as the server is full or stopped, it pauses.
  std::size_t room_in_lot() noexcept;
  virtual void close_socket() noexcept = 0;
  ServerCore& core() const noexcept { return core_; }
  SocketFile& file() noexcept { return file_; }
  bool adopted() const noexcept { return adopted_; }

 private:
  bool arm(bool armed) noexcept;

  ServerCore& core_;
  const Address address_;
  SocketFile file_;
  std::atomic<CoarseTime> paused_until_{0};
  std::int64_t back_off_ = 0;  // milliseconds; doubles while accepting fails
  std::int64_t vain_ = 0;      // calls in a row for nothing
  std::mutex pausing_;         // a worker may pause what the serving thread resumes
  std::atomic<bool> paused_{false};
  std::atomic<int> error_{0};  // what a wait of the lot came upon
  bool in_lot_ = false;
  bool adopted_ = false;
};

// Accepts connections.
class StreamListener final : public Listener {
 public:
  StreamListener(ServerCore& core, Socket socket, const Address& address, SocketFile file);
  ~StreamListener() override;

  std::size_t accept(std::size_t most) noexcept override;
  std::size_t receive(std::span<Request> ready) noexcept override;
  Socket* to_activate() noexcept override { return adopted() ? nullptr : &socket_; }
  int fileno() const noexcept override { return socket_.fileno(); }
  std::unique_ptr<Listener> move_to(ServerCore& core) override;
  void close_in_child() noexcept override;

 private:
  struct Arrival;
  // Takes the next one; 0, EAGAIN if there is none, or why not.
  int take(Arrival& arrival) noexcept;
  void close_socket() noexcept override;

  Socket socket_;
};

// Receives datagrams.
class DatagramListener final : public Listener {
 public:
  DatagramListener(ServerCore& core, Socket socket, const Address& address, SocketFile file);

  std::size_t accept(std::size_t most) noexcept override;
  std::size_t receive(std::span<Request> ready) noexcept override;
  int fileno() const noexcept override { return socket_ ? socket_->fileno() : -1; }
  std::unique_ptr<Listener> move_to(ServerCore& core) override;
  void close_in_child() noexcept override;

  std::uint64_t lost() const noexcept;

 private:
  // Takes the next one, null if there is no memory for it; 0, EAGAIN if there is none, or why not.
  int take(Connection*& datagram) noexcept;
  void close_socket() noexcept override;

  std::shared_ptr<DatagramSocket> socket_;
  mutable std::mutex closing_;  // for `lost`, which comes from any thread
  std::uint64_t lost_ = 0;      // when it was closed
};

}  // namespace net
