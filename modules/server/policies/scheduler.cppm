/// \file
/// `net.server:scheduler`, internal: what each worker of a pool does next, and which one is woken.
module net.server:scheduler;

import net.standard;
import :crew;
import :gate;
import :options;
import :pace;
import :parking_lot;
import :request;

namespace net {

// Shares the requests of a pool among its workers. The pool provides the threads: each worker calls
// `work`, and one more thread calls `keep_watch`. scheduler.cpp explains the algorithm.
class Scheduler {
 public:
  // `cores`: how many threads can run at the same time.
  Scheduler(ParkingLot& lot, Overload overload, std::size_t workers, std::size_t cores) noexcept
      : lot_(lot), overload_(overload), workers_(workers), pace_(cores) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Both return after `stop`; `work` returns only when the queue is empty.
  void work(Crew::Worker& me);
  void keep_watch();

  // These may be called from any thread.
  void take_in(Request request);
  void expire();
  void stop();
  PolicyLoad load();

 private:
  using Lock = std::unique_lock<std::mutex>;
  // How long the worker in lot.wait stays there: `waiting`: until something arrives; `glancing`:
  // not at all.
  enum class Polling : std::uint8_t { nobody, glancing, waiting };

  bool should_poll(FineTime now) const noexcept;
  bool may_serve(FineTime now) const noexcept;
  FineTime poll(Lock& lock);
  FineTime serve(Lock& lock, Crew::Worker& me, FineTime now);
  FineTime sleep(Lock& lock, Crew::Worker& me);
  void make_ready(RequestQueue& more) noexcept;
  void make_ready(Request request) noexcept;
  bool another_may_wake(FineTime now) const noexcept;
  Crew::Worker* worker_worth_waking(FineTime now) noexcept;
  bool must_call_poller() noexcept;
  void tick(Lock& lock, bool idle, bool stuck);
  void wake_sentinel() noexcept;

  ParkingLot& lot_;
  const Overload overload_;
  const std::size_t workers_;
  std::mutex mutex_;  // guards the members below
  Polling polling_ = Polling::nobody;
  bool stopping_ = false;
  RequestQueue ready_;
  Pace pace_;
  Crew crew_;
  std::size_t taken_since_poll_ = 0;
  FineTime last_poll_ = 0;
  std::uint64_t taken_ = 0;        // requests taken from the queue so far
  std::size_t conversations_ = 0;  // running, or in the queue
  struct {
    Gate gate;
    bool asleep = false;
  } sentinel_;
};

}  // namespace net
