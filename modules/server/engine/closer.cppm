/// \file
/// `net.server:closer`, internal: sockets of ended connections, which wait for their peers to
/// close.
///
/// Closing a socket while its peer still sends resets the connection, and what was sent last is
/// lost. So the closer first shuts down sending, then reads and discards what arrives until the
/// peer closes as well, within bounds: RFC 1122, 4.2.2.13; nginx's `lingering_close`.
module net.server:closer;

import net.standard;
import net.socket;
import :due_timer;
import :poller;

namespace net {

// Closes sockets without losing what was sent last. `close`, `size`, `room`, `has_enough`, `oldest`
// and `close_oldest` may be called from any thread; the rest on the serving thread.
class Closer {
 public:
  // `milliseconds`, `bytes`: how long a socket lingers, and how many bytes are discarded meanwhile,
  // at most. `enough`: while this many sockets linger, those of rejected clients are closed at
  // once, so that rejecting stays cheap.
  Closer(Poller& poller, DueTimer& timer, std::int64_t milliseconds, std::size_t bytes,
         std::size_t enough) noexcept;
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;
  ~Closer();

  // How a connection ended.
  struct Ended {
    bool peer_ended;   // its peer has closed already
    bool input_ended;  // we have ended its input
    bool impolite;     // close at once, even if that resets the connection
    bool idle;         // it ended after a silence
  };
  // Closes the socket of a connection: at once, if nothing is lost by that.
  void close(Socket socket, const Ended& ended) noexcept;
  // Waits in this thread for the peer to close. For a process that has no other client to serve.
  static void linger_here(Socket& socket, Deadline limit, std::size_t bytes) noexcept;
  // Closes the sockets whose time is over, and sets the timer for the next one.
  void sweep(CoarseTime now) noexcept;
  // While the server drains: also closes the sockets whose peers have received everything and have
  // sent nothing for `milliseconds`.
  void hurry(CoarseTime now, std::int64_t milliseconds) noexcept;
  // Closes all sockets, because no time is left.
  void close_all() noexcept;
  // Returns since when the oldest socket has lingered; `never` if there is none.
  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  CoarseTime oldest() noexcept;
  // Closes the oldest socket, because descriptors are needed. Returns whether there was one.
  bool close_oldest() noexcept;
  std::size_t size() const;
  bool has_enough() const { return room() == 0; }
  std::size_t room() const { return enough_ - std::min(enough_, size()); }
  // In a process that was forked after the server was made: closes the descriptors. The connections
  // stay the parent's.
  void close_in_child() noexcept;
  std::mutex& mutex() noexcept { return mutex_; }

 private:
  class Lingering;
  void close_now(Socket& socket) noexcept;
  void add(Socket socket) noexcept;
  // For a socket whose input we have ended. Once its output is shut down as well, the kernel resets
  // the connection if the peer sends anything, and no event tells any more that the peer has
  // closed. So the socket is closed when the peer has taken everything.
  void add_until_taken(Socket socket) noexcept;
  void hear(Lingering& lingering) noexcept;
  std::list<Lingering>& with_oldest() noexcept;

  Poller& poller_;
  DueTimer& timer_;
  const std::int64_t milliseconds_;
  const std::size_t bytes_;
  const std::size_t enough_;
  mutable std::mutex mutex_;
  std::list<Lingering> lingering_;
  std::list<Lingering> sending_;   // these are not polled
  std::list<Lingering> given_up_;  // closed, but the serving thread may be about to look at them
};

class Closer::Lingering final : public Watch {
 public:
  Lingering(Closer& closer, Socket lingering_socket, CoarseTime now) noexcept;
  ~Lingering() override;
  void ready(std::uint32_t events) override;
  // Reads and discards what has arrived. Returns false if the stream ended, or if the peer has sent
  // too much.
  bool discard() noexcept;
  bool all_taken() const noexcept;

  Socket socket;
  const CoarseTime since;
  const CoarseTime limit;
  CoarseTime heard;  // when the peer last sent something

 private:
  Closer& closer_;
  std::size_t left_;
};

}  // namespace net
