/// \file
/// `net.server:signals`, internal: which signals a thread takes.
module;

#include <csignal>

module net.server:signals;

namespace net {

// Blocks signals in this thread while it lives. What is started meanwhile inherits the mask.
class BlockedSignals {
 public:
  explicit BlockedSignals(const sigset_t& blocked) noexcept;
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

  // All but those that a thread raises by what it does: of these, the kernel ends the program
  // instead of running the program's handler if they are blocked. signal(7).
  static sigset_t asynchronous() noexcept;
  static sigset_t stopping() noexcept;  // SIGINT and SIGTERM

  // The mask of the thread without this object.
  const sigset_t& before() const noexcept { return before_; }

 private:
  sigset_t before_{};
};

}  // namespace net
