/// \file
/// `net.server:listener`, internal: accepting.
module;

#include <cstddef>
#include <cstdint>
#include <limits>

module net.server:listener;

import net.socket;
import :poller;

namespace net {

class ServerCore;

// One listening socket in the serving loop.
class Listener final : public Watch {
 public:
  // What accept(2) says, and what is to be done about it.
  enum class Verdict : std::uint8_t {
    nothing,    // no connection waits
    again,      // this one went away, or we were interrupted: the next
    exhausted,  // the system has no descriptor or memory: later
    dead,       // this socket will never accept again
  };
  static Verdict verdict(int error) noexcept;

  Listener(ServerCore& core, Socket socket, const Address& address) noexcept;

  void ready(std::uint32_t events) override;
  // Accepts what is there, at most `most` connections; returns how many.
  std::size_t accept(std::size_t most) noexcept;

  // Stops and resumes polling: while the system is exhausted, or all places are taken.
  static constexpr CoarseTime never = std::numeric_limits<CoarseTime>::max();
  void pause(CoarseTime until) noexcept;
  void resume() noexcept;
  bool paused() const noexcept { return paused_; }
  CoarseTime paused_until() const noexcept { return paused_until_; }

  const Address& address() const noexcept { return address_; }
  Socket& socket() noexcept { return socket_; }
  void set_address(const Address& address) noexcept { address_ = address; }
  bool dead() const noexcept { return socket_.fileno() < 0; }
  void close() noexcept;

 private:
  ServerCore& core_;
  Socket socket_;
  Address address_;
  CoarseTime paused_until_ = 0;
  std::int64_t back_off_ = 0;  // milliseconds; doubles while accepting fails
  bool paused_ = false;
};

}  // namespace net
