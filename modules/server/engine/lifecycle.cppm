/// \file
/// `net.server:lifecycle`, internal: whether a thread serves a server, and the stages of the server
/// from bound to closed.
module net.server:lifecycle;

import net.standard;
import net.socket;
import :options;

namespace net {

// Ensures that at most one thread at a time serves a server, and at most one closes it. May be used
// from any thread.
class Lifecycle {
 public:
  // Call this when the sockets listen.
  void activate() noexcept;

  // Makes the calling thread the serving thread. Throws `operation_in_progress` if the server is
  // active and is being served, and `bad_file_descriptor` if the server is not active. The server
  // stops being active when a thread begins to close it, so that a thread that serves in a loop
  // does not delay the close.
  void begin_serving(const char* call);
  void end_serving() noexcept;

  // Waits while another thread closes the server. Then returns the report if the server is closed,
  // or else begins to close it.
  std::optional<DrainReport> begin_closing();
  // Waits until no thread serves. Returns false at the deadline.
  bool wait_until_free(Deadline deadline);
  // Ends the attempt to close. With a report, the server is closed. Without one, another thread may
  // try.
  void end_closing(const std::optional<DrainReport>& report) noexcept;

  // In a process that was forked after the server was made: marks the server as closed, since it
  // cannot be served there any more.
  void close_here() noexcept { stage_.store(Stage::closed); }
  bool active() const noexcept { return stage_.load() == Stage::active; }
  bool closed() const noexcept { return stage_.load() == Stage::closed; }
  bool closing_or_closed() const noexcept { return closing_ || closed(); }

 private:
  enum class Stage : std::uint8_t { bound, active, draining, closed };

  std::mutex mutex_;
  std::condition_variable changed_;
  // Written under the lock, except in `close_here`.
  std::atomic<Stage> stage_{Stage::bound};
  bool serving_ = false;
  std::atomic<bool> closing_{false};  // written under the lock
  DrainReport report_;
};

}  // namespace net
