/// \file
/// `net.server:lifecycle`, internal: who serves a server, and how far it is on its way from bound
/// to closed.
module net.server:lifecycle;

import net.standard;
import net.socket;
import :options;

namespace net {

// One thread serves at a time, and one closes. From any thread.
class Lifecycle {
 public:
  // The sockets listen.
  void activate() noexcept;

  // Takes the serving thread's place. Throws `operation_in_progress` if another one has it, and
  // `bad_file_descriptor` unless the server is active; it is not any more once a thread has begun
  // to close it, so that a thread that serves in a loop does not delay it.
  void begin_serving(const char* call);
  void end_serving() noexcept;

  // Begins to close, when no other thread does; returns the report if that one has closed it.
  std::optional<DrainReport> begin_closing();
  // Waits until nobody serves; false at the deadline.
  bool wait_until_free(Deadline deadline);
  // With a report, the server is closed. Without, the next one may try.
  void end_closing(const std::optional<DrainReport>& report) noexcept;

  // In a process that was forked since: it can be served there no more.
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
