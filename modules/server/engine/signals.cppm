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

  static sigset_t all() noexcept;
  static sigset_t stopping() noexcept;  // SIGINT and SIGTERM

 private:
  sigset_t before_{};
};

}  // namespace net
