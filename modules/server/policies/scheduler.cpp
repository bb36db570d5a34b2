module;

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :crew;
import :gate;
import :pace;
import :scheduler;

// How the workers share the work.
//
// There is one parking lot, one queue of ready requests, and one lock, held for some tens of
// nanoseconds at a time. At most one worker polls the lot; it puts the requests that it gets into
// the queue. Every worker that is awake takes requests from the queue, one at a time, and serves
// them. A worker polls when the queue is empty, when 64 requests were taken since the last poll, or
// when a millisecond has passed since then. So busy connections do not keep out the others. Workers
// that are not needed sleep on a stack. The last one to fall asleep is on top, as its caches are
// warm.
//
// When a worker is woken depends on how handlers have lately behaved (`Pace`):
//
// - Handlers that do next to nothing, such as an echo. The worker that polled serves the requests
//   that it got. Another worker is woken only if the requests in the queue would take at least
//   50 us in all, which is the cost of a wake-up with its consequences. So wake-ups are rare.
// - Handlers that compute. A request of 20 us waits behind at most two others until a second worker
//   is woken; a request of 50 us or more waits behind none. A worker that takes a request and
//   leaves others in the queue checks this, and wakes at most one worker. No more workers are awake
//   than there are cores (but at least two), blocked ones aside: more would preempt each other.
// - Handlers that block, all or some. A worker whose handler has run for longer than the `patience`
//   of the pool counts as blocked. It no longer counts against the cores, so another worker is
//   woken in its place. To find blocked workers, those in handlers form a list, the oldest first.
//   Every worker that has just read the clock checks the head of the list. So does the sentinel, a
//   thread that ticks while there is anything to watch. Afterwards, the kernel's count of voluntary
//   context switches of the worker's thread shows whether the handler really slept. If it did, the
//   pool is more eager for a second: the threshold falls to 12 us, the poll counts as work to be
//   handed over, spare workers stay awake, and the patience is halved, down to 70 us. So the next
//   request does not wait behind the next handler that blocks. If the handler was only preempted,
//   or computed, the patience grows by half, up to 10 ms.
//
// There is one exception. If no request was taken during a tick while some wait, as when the first
// handlers block after a quiet time, the sentinel wakes as many workers as requests wait. It wakes
// at most 16, within the limit on awake workers. The sentinel ticks every 0.25 to 2 ms while
// handlers block, and every 2 to 8 ms otherwise. It sleeps when the queue was empty for eight
// ticks, until a thread puts a request there.
//
// A conversation counts as blocked from its start, as it will hold its worker.

namespace net {
namespace {

constexpr std::size_t served_between_polls = 64;
constexpr FineTime time_between_polls = 1'000'000;  // nanoseconds
constexpr std::size_t woken_by_tick = 16;
constexpr unsigned quiet_ticks = 8;  // until the sentinel sleeps

// Returns how often this thread gave up its core because it had to wait.
long voluntary_switches() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

}  // namespace

// --- a worker --------------------------------------------------------------------------------

void Scheduler::work(Crew::Worker& me) {
  Lock lock(mutex_);
  crew_.begin();
  FineTime now = fine_now();
  for (;;) {
    if (should_poll(now)) {
      now = poll(lock);
    } else if (!ready_.empty() && may_serve(now)) {
      now = serve(lock, me, now);
    } else if (stopping_) {
      break;
    } else {
      now = sleep(lock, me);
    }
  }
  crew_.end();
}

bool Scheduler::should_poll(FineTime now) const noexcept {
  if (polling_ != Polling::nobody || stopping_) return false;
  return ready_.empty() || taken_since_poll_ >= served_between_polls ||
         now - last_poll_ > time_between_polls;
}

bool Scheduler::may_serve(FineTime now) const noexcept {
  return stopping_ || crew_.active() <= pace_.most_awake(now) + pace_.spare(now);
}

FineTime Scheduler::poll(Lock& lock) {
  polling_ = ready_.empty() ? Polling::waiting : Polling::glancing;
  taken_since_poll_ = 0;
  const Deadline deadline = polling_ == Polling::waiting
                                ? Deadline::never()
                                : Deadline(Deadline::Clock::time_point::min());
  lock.unlock();
  std::array<Request, served_between_polls> batch;
  const std::size_t count = lot_.wait(batch, deadline);
  RequestQueue polled;
  for (std::size_t i = 0; i < count; ++i) polled.push(std::move(batch[i]));
  const FineTime now = fine_now();
  lock.lock();
  polling_ = Polling::nobody;
  last_poll_ = now;
  make_ready(polled);
  crew_.notice_blocked(now, pace_.patience());
  return now;
}

FineTime Scheduler::serve(Lock& lock, Crew::Worker& me, FineTime now) {
  Request request = ready_.pop();
  const bool conversation = request.conversation();
  ++taken_since_poll_;
  ++taken_;
  crew_.enter_handler(me, now, conversation);
  const bool sampled = !conversation && pace_.samples(now);
  Crew::Worker* const woken = worker_worth_waking(now);
  lock.unlock();
  if (woken != nullptr) woken->gate.open();
  const long before = sampled ? voluntary_switches() : 0;
  const bool kept = request.step() == Next::keep && !request.try_park();
  const FineTime end = fine_now();
  const bool slept = sampled && Pace::was_long(end - now) && voluntary_switches() > before;
  lock.lock();
  const bool noticed = crew_.leave_handler(me);
  if (conversation) {
    --conversations_;
  } else {
    pace_.handler_ran(
        {.begin = now, .end = end, .sampled = sampled, .slept = slept, .noticed = noticed});
  }
  if (kept) make_ready(std::move(request));
  crew_.notice_blocked(end, pace_.patience());
  return end;
}

FineTime Scheduler::sleep(Lock& lock, Crew::Worker& me) {
  crew_.lie_down(me);
  // Requests wait, but enough workers are awake. If one of them waits in the lot, wake it up to
  // serve them.
  const bool call = !ready_.empty() && must_call_poller();
  lock.unlock();
  if (call) lot_.wake();
  me.gate.wait();
  const FineTime now = fine_now();
  lock.lock();
  return now;
}

// Wakes the sentinel, which must not sleep while requests wait: if enough workers are awake,
// another one may fall asleep although requests wait, and all those that are awake may then block.
void Scheduler::make_ready(RequestQueue& more) noexcept {
  ready_.append(more);
  if (sentinel_.asleep && !ready_.empty()) wake_sentinel();
}

void Scheduler::make_ready(Request request) noexcept {
  ready_.push(std::move(request));
  if (sentinel_.asleep) wake_sentinel();
}

// --- waking ----------------------------------------------------------------------------------

bool Scheduler::another_may_wake(FineTime now) const noexcept {
  return crew_.anybody_asleep() && crew_.active() < pace_.most_awake(now);
}

Crew::Worker* Scheduler::worker_worth_waking(FineTime now) noexcept {
  if (!another_may_wake(now) ||
      !pace_.worth_waking(ready_.size(), polling_ != Polling::nobody, now))
    return nullptr;
  return &crew_.take_sleeper();
}

// Returns whether a worker waits in the lot without a deadline. If so, the caller must wake the
// lot, without the lock.
bool Scheduler::must_call_poller() noexcept {
  if (polling_ != Polling::waiting) return false;
  polling_ = Polling::glancing;
  return true;
}

// --- the sentinel ----------------------------------------------------------------------------

void Scheduler::keep_watch() {
  // With the default slack of timers, naps of 0.25 ms would last a fifth longer.
  ::prctl(PR_SET_TIMERSLACK, 1'000);
  Lock lock(mutex_);
  unsigned quiet = 0;
  while (!stopping_) {
    if (quiet >= quiet_ticks) {
      sentinel_.asleep = true;
      sentinel_.gate.close();
      lock.unlock();
      sentinel_.gate.wait();
      lock.lock();
      quiet = 0;
      pace_.rested();
      continue;
    }
    const std::uint64_t taken_before = taken_;
    const std::int64_t nap = pace_.next_tick(fine_now());
    sentinel_.gate.close();
    lock.unlock();
    sentinel_.gate.wait_for(nap);
    lock.lock();
    const bool idle = ready_.empty() && polling_ != Polling::nobody;
    quiet = idle ? quiet + 1 : 0;
    tick(lock, idle, taken_ == taken_before);
  }
}

void Scheduler::tick(Lock& lock, bool idle, bool stuck) {
  const FineTime now = fine_now();
  crew_.notice_blocked(now, pace_.patience());
  pace_.tick(now, crew_.noticed());
  if (idle) return;
  std::array<Crew::Worker*, woken_by_tick> woken;
  std::size_t count = 0;
  if (stuck) {
    const std::size_t wanted = std::clamp<std::size_t>(ready_.size(), 1, woken.size());
    while (count < wanted && another_may_wake(now)) woken[count++] = &crew_.take_sleeper();
  } else if (Crew::Worker* const worker = worker_worth_waking(now)) {
    woken[count++] = worker;
  }
  if (count == 0) return;
  lock.unlock();
  for (std::size_t i = 0; i < count; ++i) woken[i]->gate.open();
  lock.lock();
}

void Scheduler::wake_sentinel() noexcept {
  sentinel_.asleep = false;
  sentinel_.gate.open();
}

// --- from outside ----------------------------------------------------------------------------

// A conversation may hold its worker for long, so it is worth a wake-up. If no further worker may
// be awake, one that is awake will take the request. A worker that waits in the lot would not take
// it soon, so that wait is ended.
void Scheduler::take_in(Request request) {
  Lock lock(mutex_);
  if (request.conversation()) {
    if (conversations_ >= workers_) {
      if (overload_ == Overload::evict_idle) request.evict_idle();
      if (overload_ == Overload::reject) {
        lock.unlock();
        request.reject();
        return;
      }
    }
    ++conversations_;
  }
  make_ready(std::move(request));
  Crew::Worker* const woken = another_may_wake(fine_now()) ? &crew_.take_sleeper() : nullptr;
  const bool call = woken == nullptr && must_call_poller();
  lock.unlock();
  if (woken != nullptr) woken->gate.open();
  if (call) lot_.wake();
}

void Scheduler::expire() {
  RequestQueue overdue;  // ended without the lock
  const std::lock_guard lock(mutex_);
  conversations_ -= ready_.take_overdue(overdue);
}

void Scheduler::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  while (crew_.anybody_asleep()) crew_.take_sleeper().gate.open();
  wake_sentinel();
  lot_.wake();
}

PolicyLoad Scheduler::load() {
  const Lock lock(mutex_);
  return {
      .waiting = ready_.size(), .workers = workers_, .busy = crew_.in_handler(), .most = workers_};
}

}  // namespace net
