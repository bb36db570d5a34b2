/// \file
/// `net.server:signals`, internal: which signals a thread blocks.
module;

#include <csignal>

module net.server:signals;

namespace net {

// Blocks signals in this thread while the object lives. Threads and processes that are started
// meanwhile inherit the mask.
class BlockedSignals {
 public:
  explicit BlockedSignals(const sigset_t& blocked) noexcept;
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

  // All signals except those that a thread raises by its own actions, such as SIGSEGV. If a fault
  // raises such a signal while it is blocked, the kernel ends the program instead of running the
  // program's handler. See sigprocmask(2).
  static sigset_t asynchronous() noexcept;
  static sigset_t stopping() noexcept;  // SIGINT and SIGTERM

  // The mask that the thread had before.
  const sigset_t& before() const noexcept { return before_; }

 private:
  sigset_t before_{};
};

}  // namespace net
