/// \file
/// `net.socket:waiting`, internal: calls on a socket that wait under its limits.
module net.socket:waiting;

import net.standard;
import :address;
import :deadline;
import :socket;

namespace net {

// One call on a socket, tried again and again until it neither would block nor was interrupted.
class Operation {
 public:
  // The text of errors begins with `call`, and names whom it sends to. Its time runs from the first
  // wait.
  Operation(Socket& socket, std::string_view call, const Address* to = nullptr) noexcept
      : socket_(socket), call_(call), to_(to) {}
  // For sending in several calls: the time runs from here, and to `deadline` for all of them.
  Operation(Socket& socket, std::string_view call, Deadline deadline);

  // After a receive that failed: waits if it would have blocked, and throws other errors. False if
  // the input was ended meanwhile; the call then returns what it does at the end.
  bool goes_on_receiving(int error);
  // After a send that failed.
  void go_on_sending(int error);

  // Returns whether there are no messages whose bounds are kept.
  bool takes_a_stream() const;
  bool waits_to_send() const noexcept;
  // Until when to wait for something else than the socket.
  Deadline limit_of_one_wait() const;
  int fileno() const noexcept { return socket_.fileno(); }
  // After one that did not.
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
