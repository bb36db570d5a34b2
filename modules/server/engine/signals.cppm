/// \file
/// `net.server:signals`, internal: which signals a thread receives.
module;

#include <csignal>

module net.server:signals;

namespace net {

// Blocks signals in this thread while the object exists. Threads and processes that are started
// meanwhile inherit the mask.
class BlockedSignals {
 public:
  explicit BlockedSignals(const sigset_t& blocked) noexcept;
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

  // Returns all signals except those that a thread raises by its own instructions, such as SIGSEGV.
  // If one of these is blocked, the kernel kills the program instead of running its handler; see
  // signal(7).
  static sigset_t asynchronous() noexcept;
  static sigset_t stopping() noexcept;  // SIGINT and SIGTERM

  // Returns the mask that the thread had before.
  const sigset_t& before() const noexcept { return before_; }

 private:
  sigset_t before_{};
};

}  // namespace net
