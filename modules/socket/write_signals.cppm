/// \file
/// `net.socket:write_signals`, internal: writing without the signals that writing can raise.
module;

#include <csignal>

module net.socket:write_signals;

namespace net {

// Keeps from this thread the signals that a write may raise, and takes those that it did raise, so
// that nothing of them is seen once this object is gone: SIGPIPE (the reader is gone), SIGXFSZ (a
// file at its limit) and SIGTTOU (the terminal of another foreground process). The kernel sends the
// first two to the thread that writes, so no other thread's can be hit; one that was pending before
// stays pending. No disposition changes.
class WithoutWriteSignals {
 public:
  WithoutWriteSignals() noexcept;
  WithoutWriteSignals(const WithoutWriteSignals&) = delete;
  WithoutWriteSignals& operator=(const WithoutWriteSignals&) = delete;
  ~WithoutWriteSignals();  // keeps errno

 private:
  sigset_t raised_{};  // those that only a write of ours can make pending
  sigset_t before_{};
};

}  // namespace net
