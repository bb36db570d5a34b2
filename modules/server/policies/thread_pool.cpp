module;

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :forked;
import :gate;
import :option_checks;
import :pace;
import :signals;

// How the workers share the work.
//
// There is one parking lot, one queue of requests that are ready, and one lock, held for some tens
// of nanoseconds. At most one worker polls the lot; it puts what it gets into the queue. Every
// worker that is awake takes requests from the queue, one at a time, and serves them. A worker
// polls when the queue is empty, when 64 requests were taken since the last poll, or a millisecond
// after it, so connections with much to do do not keep out the others. The workers that are not
// needed lie on a stack, the last one to sleep on top, as its caches are warm.
//
// What happens to a request depends on what handlers have lately done (`Pace`):
//
// - Handlers that do next to nothing, such as an echo. The worker that polled serves what it got
//   from the poll. Another one is woken only if the requests in the queue would take at least 50 us
//   in all, which is what a wake-up costs with all that follows. So wake-ups are rare.
// - Handlers that compute. A request of 20 us waits behind at most two others until a second worker
//   is woken; one of 50 us or more behind none. Whoever takes a request and leaves more behind
//   looks, and wakes at most one worker. No more workers are awake than there are cores, not
//   counting those that are blocked: more of them would only preempt each other.
// - Handlers that block, all or some. A worker whose handler has run for longer than the `patience`
//   of the pool counts as blocked and no longer against the cores, so another one is woken in its
//   place. To find it, those in handlers form a list, the oldest first; whoever comes by with a
//   reading of the clock looks at its head, and so does the sentinel, a thread that ticks while
//   there is anything to watch. Whether a handler really slept is known afterwards from the
//   kernel's count of voluntary context switches of its thread. If it did, the pool is more eager
//   for a second: the threshold falls to 12 us, the poll counts as work to be handed over, spare
//   workers stay awake, and the patience is halved, down to 70 us. So the next request does not
//   wait behind the next sleeper. A handler that was only preempted, or that computes, has the
//   opposite effect.
//
// A tick in which no request was taken while some wait is the exception (the first sleepers after a
// quiet time): it wakes as many workers as requests wait, at most 16, within the limit of those
// awake. The sentinel ticks every 0.25 to 2 ms while handlers block and every 2 to 8 ms else. It
// sleeps when the queue was empty for eight ticks, and whoever puts a request there wakes it.
//
// A conversation counts as blocked from its start, as it will hold its worker.

namespace net {
namespace {

constexpr std::size_t served_between_polls = 64;
constexpr FineTime time_between_polls = 1'000'000;  // nanoseconds
constexpr std::size_t woken_by_tick = 16;
constexpr unsigned quiet_ticks = 8;  // until the sentinel sleeps

// The cores that this process may use. std::thread::hardware_concurrency counts the machine's.
std::size_t cores() {
  cpu_set_t allowed;
  const int error = ::sched_getaffinity(0, sizeof allowed, &allowed);
  const int count = error == 0 ? CPU_COUNT(&allowed) : 0;
  return count > 0 ? static_cast<std::size_t>(count)
                   : std::max(1U, std::thread::hardware_concurrency());
}

std::size_t default_workers() { return std::max<std::size_t>(8, 2 * cores()); }

// How often this thread gave up its core because it had to wait.
long voluntary_switches() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

// A place in the ring of the workers that are in handlers.
struct Link {
  Link* previous = this;
  Link* next = this;
};

struct alignas(64) Worker : Link {
  Gate gate;
  Worker* below = nullptr;  // on the stack of those that sleep
  FineTime since = 0;       // when its handler was called
  bool blocked = false;     // counts as blocked, and is not in the ring
  std::thread thread;
};

}  // namespace

struct ThreadPool::State {
  State(std::size_t workers_wanted, Overload at_overload, ParkingLot& parking_lot)
      : lot(parking_lot), overload(at_overload), pace(cores()) {
    const BlockedSignals no_signals(BlockedSignals::asynchronous());
    try {
      for (; running < workers_wanted; ++running) {
        Worker& worker = workers.emplace_back();
        worker.thread = std::thread([this, &worker] { work(worker); });
      }
      sentinel.thread = std::thread([this] { keep_watch(); });
    } catch (...) {
      stop(Deadline::never());
      throw;
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { stop(Deadline::never()); }

  // --- a worker -------------------------------------------------------------------------------

  void work(Worker& me) {
    std::unique_lock lock(mutex);
    ++awake;
    FineTime now = fine_now();
    for (;;) {
      if (should_poll(now)) {
        now = poll(lock);
      } else if (!ready.empty() && may_serve(now)) {
        now = serve(lock, me, now);
      } else if (stopping) {
        break;
      } else {
        now = sleep(lock, me);
      }
    }
    --awake;
    --running;
    ended.notify_all();
  }

  bool should_poll(FineTime now) const noexcept {
    if (polling != Polling::nobody || stopping) return false;
    return ready.empty() || taken_since_poll >= served_between_polls ||
           now - last_poll > time_between_polls;
  }

  bool may_serve(FineTime now) const noexcept {
    return stopping || awake - blocked <= pace.most_awake(now) + pace.spare(now);
  }

  FineTime poll(std::unique_lock<std::mutex>& lock) {
    polling = ready.empty() ? Polling::waiting : Polling::glancing;
    taken_since_poll = 0;
    const Deadline deadline = polling == Polling::waiting
                                  ? Deadline::never()
                                  : Deadline(Deadline::Clock::time_point::min());
    lock.unlock();
    std::array<Request, served_between_polls> batch;
    const std::size_t count = lot.wait(batch, deadline);
    RequestQueue polled;
    for (std::size_t i = 0; i < count; ++i) polled.push(std::move(batch[i]));
    const FineTime now = fine_now();
    lock.lock();
    polling = Polling::nobody;
    last_poll = now;
    make_ready(polled);
    notice_blocked(now);
    return now;
  }

  FineTime serve(std::unique_lock<std::mutex>& lock, Worker& me, FineTime now) {
    Request request = ready.pop();
    const bool conversation = request.conversation();
    ++taken_since_poll;
    ++taken;
    enter_handler(me, now, conversation);
    const bool sampled = !conversation && pace.samples(now);
    Worker* const woken = worker_worth_waking(now);
    lock.unlock();
    if (woken != nullptr) woken->gate.open();
    const long before = sampled ? voluntary_switches() : 0;
    const bool kept = request.step() == Next::keep && !request.try_park();
    const FineTime end = fine_now();
    const bool slept = sampled && Pace::was_long(end - now) && voluntary_switches() > before;
    lock.lock();
    const bool noticed = leave_handler(me);
    if (conversation) {
      --conversations;
    } else {
      pace.handler_ran(
          {.begin = now, .end = end, .sampled = sampled, .slept = slept, .noticed = noticed});
    }
    if (kept) make_ready(std::move(request));
    notice_blocked(end);
    return end;
  }

  FineTime sleep(std::unique_lock<std::mutex>& lock, Worker& me) {
    me.gate.close();
    me.below = std::exchange(asleep, &me);
    --awake;
    // There is no room for me as one waits in the lot, who has work here instead.
    const bool call = !ready.empty() && must_call_poller();
    lock.unlock();
    if (call) lot.wake();
    me.gate.wait();
    const FineTime now = fine_now();
    lock.lock();
    return now;
  }

  // --- the queue ------------------------------------------------------------------------------

  // The sentinel sleeps only while the queue is empty: a worker may lie down though requests wait,
  // if enough others are awake, and these may all block.
  void make_ready(RequestQueue& more) noexcept {
    ready.append(more);
    if (sentinel.asleep && !ready.empty()) wake_sentinel();
  }
  void make_ready(Request request) noexcept {
    ready.push(std::move(request));
    if (sentinel.asleep) wake_sentinel();
  }

  // --- those in handlers ----------------------------------------------------------------------

  void enter_handler(Worker& me, FineTime now, bool will_block) noexcept {
    me.since = now;
    me.blocked = will_block;
    if (will_block) {
      ++blocked;
      return;
    }
    me.previous = in_handlers.previous;
    me.next = &in_handlers;
    in_handlers.previous = me.previous->next = &me;
  }

  // Returns whether it was taken for blocked.
  bool leave_handler(Worker& me) noexcept {
    if (me.blocked) {
      --blocked;
    } else {
      unlink(me);
    }
    return me.blocked;
  }

  void notice_blocked(FineTime now) noexcept {
    while (in_handlers.next != &in_handlers) {
      Worker& worker = static_cast<Worker&>(*in_handlers.next);
      if (now - worker.since <= pace.patience()) return;
      unlink(worker);
      worker.blocked = true;
      ++blocked;
      ++noticed_blocked;
    }
  }

  static void unlink(Link& link) noexcept {
    link.previous->next = link.next;
    link.next->previous = link.previous;
  }

  // --- waking ---------------------------------------------------------------------------------

  // What is taken from the stack counts as awake at once; the caller opens its gate without the
  // lock.
  Worker& take_sleeper() noexcept {
    ++awake;
    return *std::exchange(asleep, asleep->below);
  }

  bool another_may_wake(FineTime now) const noexcept {
    return asleep != nullptr && awake - blocked < pace.most_awake(now);
  }

  Worker* worker_worth_waking(FineTime now) noexcept {
    if (!another_may_wake(now) || !pace.worth_waking(ready.size(), polling != Polling::nobody, now))
      return nullptr;
    return &take_sleeper();
  }

  // Whether a worker waits in the lot without limit; the caller wakes the lot, without the lock.
  bool must_call_poller() noexcept {
    if (polling != Polling::waiting) return false;
    polling = Polling::glancing;
    return true;
  }

  // --- the sentinel ---------------------------------------------------------------------------

  void keep_watch() {
    // Naps of a quarter of a millisecond are not to last a fifth longer.
    ::prctl(PR_SET_TIMERSLACK, 1'000);
    std::unique_lock lock(mutex);
    unsigned quiet = 0;
    while (!stopping) {
      if (quiet >= quiet_ticks) {
        sentinel.asleep = true;
        sentinel.gate.close();
        lock.unlock();
        sentinel.gate.wait();
        lock.lock();
        quiet = 0;
        pace.rested();
        continue;
      }
      const std::uint64_t taken_before = taken;
      const std::int64_t nap = pace.next_tick(fine_now());
      sentinel.gate.close();
      lock.unlock();
      sentinel.gate.wait_for(nap);
      lock.lock();
      const bool idle = ready.empty() && polling != Polling::nobody;
      quiet = idle ? quiet + 1 : 0;
      tick(lock, idle, taken == taken_before);
    }
  }

  void tick(std::unique_lock<std::mutex>& lock, bool idle, bool stuck) {
    const FineTime now = fine_now();
    notice_blocked(now);
    pace.tick(now, noticed_blocked);
    if (idle) return;
    std::array<Worker*, woken_by_tick> woken;
    std::size_t count = 0;
    if (stuck) {
      const std::size_t wanted = std::clamp<std::size_t>(ready.size(), 1, woken.size());
      while (count < wanted && another_may_wake(now)) woken[count++] = &take_sleeper();
    } else if (Worker* const worker = worker_worth_waking(now)) {
      woken[count++] = worker;
    }
    if (count == 0) return;
    lock.unlock();
    for (std::size_t i = 0; i < count; ++i) woken[i]->gate.open();
    lock.lock();
  }

  void wake_sentinel() noexcept {
    sentinel.asleep = false;
    sentinel.gate.open();
  }

  // --- from outside ---------------------------------------------------------------------------

  // The request may be one that holds its worker for long, so it is worth a wake-up. If all workers
  // that may be awake are, one of them comes by, but not soon if it waits in the lot.
  void take_in(Request request, std::unique_lock<std::mutex>& lock) {
    make_ready(std::move(request));
    Worker* const woken = another_may_wake(fine_now()) ? &take_sleeper() : nullptr;
    const bool call = woken == nullptr && must_call_poller();
    lock.unlock();
    if (woken != nullptr) woken->gate.open();
    if (call) lot.wake();
  }

  std::size_t stop(Deadline deadline) {
    std::unique_lock lock(mutex);
    stopping = true;
    while (asleep != nullptr) take_sleeper().gate.open();
    wake_sentinel();
    lot.wake();
    const auto all_ended = [this] { return running == 0; };
    if (deadline.is_never()) {
      ended.wait(lock, all_ended);
    } else {
      ended.wait_until(lock, deadline.point(), all_ended);
    }
    if (running > 0) return running;
    lock.unlock();
    for (Worker& worker : workers) {
      if (worker.thread.joinable()) worker.thread.join();
    }
    if (sentinel.thread.joinable()) sentinel.thread.join();
    return 0;
  }

  // How long the worker that is in lot.wait stays there: until something comes, or not at all.
  enum class Polling : std::uint8_t { nobody, glancing, waiting };

  ParkingLot& lot;
  const Overload overload;
  std::mutex mutex;  // guards what follows
  Polling polling = Polling::nobody;
  bool stopping = false;
  RequestQueue ready;
  Pace pace;
  std::size_t taken_since_poll = 0;
  FineTime last_poll = 0;
  std::uint64_t taken = 0;  // requests, from the queue
  std::size_t awake = 0;    // workers not on the stack
  std::size_t blocked = 0;  // of those, in handlers that count as blocked
  std::uint64_t noticed_blocked = 0;
  Worker* asleep = nullptr;       // the stack
  Link in_handlers;               // the ring's head: the oldest is next
  std::size_t conversations = 0;  // running, or in the queue
  std::size_t running = 0;        // threads of workers
  std::condition_variable ended;
  std::deque<Worker> workers;
  struct {
    std::thread thread;
    Gate gate;
    bool asleep = false;
  } sentinel;
};

ThreadPool::ThreadPool(Options options, PolicyContext& context)
    : options_(options), lot_(context.take_parking_lot()) {
  check(options);
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::start() {
  // After a fork, the state is that of the parent, whose threads are not here.
  keep_for_ever(state_.release());
  state_ = std::make_unique<State>(workers(), options_.overload, lot_);
}

void ThreadPool::process(Request request) {
  std::unique_lock lock(state_->mutex);
  if (request.conversation()) {
    if (state_->conversations >= state_->running) {
      if (state_->overload == Overload::evict_idle) request.evict_idle();
      if (state_->overload == Overload::reject) {
        lock.unlock();
        request.reject();
        return;
      }
    }
    ++state_->conversations;
  }
  state_->take_in(std::move(request), lock);
}

void ThreadPool::expire() {
  RequestQueue overdue;  // ended without the lock
  const std::lock_guard lock(state_->mutex);
  state_->conversations -= state_->ready.take_overdue(overdue);
}

DrainReport ThreadPool::drain(Deadline deadline) {
  return {.stuck = state_ ? state_->stop(deadline) : 0};
}

std::size_t ThreadPool::workers() const noexcept {
  return options_.workers == 0 ? default_workers() : options_.workers;
}

}  // namespace net
