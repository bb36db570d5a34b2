/// \file
/// `net.socket:write_signals`, internal: writing without the signals that a write can raise.
module;

#include <csignal>

module net.socket:write_signals;

namespace net {

// Blocks the signals that a write can raise on this thread, and consumes those that it did raise,
// so that none is delivered after this object is destroyed: SIGPIPE (the reader has closed),
// SIGXFSZ (the file is at its size limit) and SIGTTOU (another process group owns the terminal).
// The kernel sends the first two to the writing thread, so no other thread can receive them. A
// signal that was already pending stays pending. No disposition changes.
class WithoutWriteSignals {
 public:
  WithoutWriteSignals() noexcept;
  WithoutWriteSignals(const WithoutWriteSignals&) = delete;
  WithoutWriteSignals& operator=(const WithoutWriteSignals&) = delete;
  ~WithoutWriteSignals();  // keeps errno

 private:
  sigset_t raised_{};  // signals that only our write can have made pending
  sigset_t before_{};
};

}  // namespace net
