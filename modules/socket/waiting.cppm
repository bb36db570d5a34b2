/// \file
/// `net.socket:waiting`, internal: socket calls that wait within the limits of the socket.
module net.socket:waiting;

import net.standard;
import :address;
import :deadline;
import :socket;

namespace net {

// A socket call that is retried as long as it would block or is interrupted.
class Operation {
 public:
  // The text of errors begins with `call`, and names the address `to`. The time limit starts at the
  // first wait.
  Operation(Socket& socket, std::string_view call, const Address* to = nullptr) noexcept
      : socket_(socket), call_(call), to_(to) {}
  // For sending in several calls: the time limit starts here, and covers all of them, as does
  // `deadline`.
  Operation(Socket& socket, std::string_view call, Deadline deadline);

  // To be called after a failed receive. Waits if the receive would have blocked, and throws other
  // errors. Returns false if the input ended meanwhile; the call then returns its end-of-input
  // result.
  bool goes_on_receiving(int error);
  // The same, after a failed send.
  void go_on_sending(int error);

  // Returns whether the socket is a stream, which keeps no message boundaries.
  bool takes_a_stream() const;
  bool waits_to_send() const noexcept;
  // Returns the deadline for a wait on a descriptor other than the socket.
  Deadline limit_of_one_wait() const;
  int fileno() const noexcept { return socket_.fileno(); }
  // Records the outcome of a receive.
  void note(Socket::Received received, std::size_t size = 0) noexcept;
  void note_sent(std::size_t size) const noexcept { socket_.note_sent(size); }
  [[noreturn]] void fail(int error) const;

 private:
  void wait_for_receiver(Deadline limit) const;

  Socket& socket_;
  std::string_view call_;
  const Address* to_ = nullptr;
  std::optional<Deadline> limit_;
};

}  // namespace net
