/// \file
/// `net.server:lifecycle`, internal: which thread serves a server, and its stages from bound to
/// closed.
module net.server:lifecycle;

import net.standard;
import net.socket;
import :options;

namespace net {

// At most one thread serves at a time, and at most one closes. From any thread.
class Lifecycle {
 public:
  // The sockets listen from here on.
  void activate() noexcept;

  // Makes this thread the serving thread. Throws `operation_in_progress` if another thread serves,
  // and `bad_file_descriptor` unless the server is active. The server is not active any more once a
  // thread has begun to close it, so that a thread that serves in a loop does not delay the close.
  void begin_serving(const char* call);
  void end_serving() noexcept;

  // Begins to close; first waits while another thread closes. If the server is closed then, returns
  // the report.
  std::optional<DrainReport> begin_closing();
  // Waits until no thread serves. Returns false at the deadline.
  bool wait_until_free(Deadline deadline);
  // With a report, the server is closed. Without one, another thread may try.
  void end_closing(const std::optional<DrainReport>& report) noexcept;

  // In a process that was forked since: the server cannot be served there any more.
  void close_here() noexcept { stage_.store(Stage::closed); }
  bool active() const noexcept { return stage_.load() == Stage::active; }
  bool closed() const noexcept { return stage_.load() == Stage::closed; }
  bool closing_or_closed() const noexcept { return closing_ || closed(); }

 private:
  enum class Stage : std::uint8_t { bound, active, draining, closed };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<Stage> stage_{Stage::bound};  // written under the lock
  bool serving_ = false;
  std::atomic<bool> closing_{false};  // changed under the lock
  DrainReport report_;
};

}  // namespace net
