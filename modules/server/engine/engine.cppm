/// \file
/// `net.server:engine`, internal: the whole server, assembled from its parts.
module net.server:engine;

import net.standard;
import net.socket;
import net.handler;
import :acceptor;
import :dispatcher;
import :lifecycle;
import :options;
import :poller;
import :reaper;
import :server_parts;
import :service;

namespace net {

// A server: its parts, and the loop that drives them.
class Engine final : public Service {
 public:
  explicit Engine(AnyServerParts& parts);
  ~Engine() override;

  // --- binding ---
  void bind() { acceptor_.bind(); }
  void activate();
  const Acceptor& acceptor() const noexcept { return acceptor_; }

  // --- the serving thread ---
  // The serving thread calls `begin_serving` before it serves, and `end_serving` after.
  void begin_serving();
  void end_serving() noexcept { note_forks(); }
  // Serves until `shutdown`. Throws the error of the last listener when none is left.
  void serve(std::chrono::milliseconds poll_interval);
  // Serves one event, and waits for it until `deadline`. While a shutdown is pending, does not
  // wait.
  enum class Served : std::uint8_t { event, nothing, stopped };
  Served serve_one(Deadline deadline);

  // --- from any thread, but `close` and `wait_for_connections` not from a handler or a hook ---
  void shutdown() noexcept override;
  void restart() noexcept;
  Stats stats() override;
  Load load();
  // Closes the server; see BaseServer::server_close.
  DrainReport close(Deadline deadline);
  // Continues to serve until no connection is left, for handlers that were stuck.
  void wait_for_connections();

  // --- in a process that was forked after the server was made ---
  // Returns whether this process cannot serve the server any more: the server was closing or
  // closed, or this process has closed its descriptors.
  bool is_lost() const noexcept;
  // Makes a server that replaces this one in this process. It has the same listeners; everything
  // else that it would share with the parent is created again. If this throws, the caller may try
  // again, unless this server is closed by then.
  std::unique_ptr<Engine> make_heir();
  // Closes the descriptors that are left. Destroys no connection, and sends nothing to any client.
  void leave() noexcept;

  Lifecycle lifecycle;

 private:
  // A watch that calls a member function of the engine.
  class CallingWatch final : public Watch {
   public:
    using Function = void (Engine::*)();
    CallingWatch(Engine& engine, Function function) noexcept;
    void ready(std::uint32_t events) override;

   private:
    Engine& engine_;
    Function function_;
  };

  bool evict_for_waiting() noexcept override { return reaper_.evict_for_waiting(); }

  // Polls once, then does what is due. Returns whether the poll found anything.
  bool turn(Deadline until);
  void woken();
  void time_has_come() { due_at_ = timer.clear(); }
  void serve_policy() { dispatcher_.serve_policy(); }
  void serve_from_lot() { dispatcher_.serve_from_lot(); }
  void do_what_is_due(CoarseTime now) noexcept;
  // Begins the drain before the serving thread is free, because a conversation that occupies that
  // thread must learn of the drain. Returns the counters from before the drain.
  Stats begin_drain();
  // `cut_noticed_by`: by when handlers that have been cut already should have returned.
  DrainReport drain(Deadline deadline, Deadline cut_noticed_by, const Stats& before);
  void take_over(Engine& before);

  Reaper reaper_{registry, timer, options};
  Dispatcher dispatcher_;
  Acceptor acceptor_;
  CallingWatch wake_watch_;
  CallingWatch timer_watch_;
  CallingWatch policy_watch_;
  CallingWatch lot_watch_;
  CoarseTime due_at_ = 0;  // when the timer fired in this turn; 0 if it did not fire
  std::atomic<std::uint64_t> drained_{0};
  bool served_ = false;  // whether this process has served the server
};

}  // namespace net
