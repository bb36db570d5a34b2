module;

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :signals;

// How the workers share the work.
//
// One worker polls, puts what it got into the queue, and serves from the queue itself. In a steady
// state of short handlers nobody else runs: no wake-up, no contention, warm caches. Of the others,
// one keeps watch (the sentinel), in ticks, and only while there is something to watch over: a
// worker serves and nobody polls. When a tick passes without progress, a handler is held up: the
// sentinel steps in, and calls as many others as requests wait. From then on work is handed over at
// once, each worker calling the next, until handlers are short again.

namespace net {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto tick = 2ms;
constexpr unsigned crowded_ticks = 4;  // until another core may help
constexpr auto short_handler = 100us;
constexpr unsigned short_handlers_in_a_row = 64;  // until work is no more handed over
constexpr std::size_t served_between_polls = 64;
constexpr unsigned quiet_ticks = 8;  // until the sentinel sleeps

std::size_t default_workers() {
  return std::max<std::size_t>(8, std::size_t{2} * std::thread::hardware_concurrency());
}

}  // namespace

struct ThreadPool::State {
  State(std::size_t workers, Overload at_overload, ParkingLot& parking_lot)
      : overload(at_overload), lot(parking_lot) {
    const BlockedSignals blocked(BlockedSignals::all());
    try {
      for (; running < workers; ++running) threads.emplace_back([this] { work(); });
    } catch (...) {
      stop(Deadline::never());
      throw;
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { stop(Deadline::never()); }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      // Those who always have more in the queue must not keep out who comes by the poll.
      const bool due = ready.empty() || served_since_poll >= served_between_polls;
      if (due && !polling && !stopping) {
        poll(lock);
      } else if (!ready.empty()) {
        serve(lock);
      } else if (stopping) {
        break;
      } else {
        sleep(lock);
      }
    }
    --running;
    ended.notify_all();
  }

  void serve(std::unique_lock<std::mutex>& lock) {
    Request request = ready.pop();
    const bool conversation = request.conversation();
    ++progress;
    ++served_since_poll;
    const bool timed = handing_over;
    if (handing_over && (!ready.empty() || !polling)) call_one(false);
    lock.unlock();
    const auto begin = timed ? Clock::now() : Clock::time_point();
    const bool kept = request.step() == Next::keep && !request.try_park();
    const bool was_short = timed && Clock::now() - begin < short_handler;
    lock.lock();
    if (conversation) --conversations;
    if (kept) ready.push(std::move(request));
    if (!timed) return;
    short_handlers = was_short ? short_handlers + 1 : 0;
    if (short_handlers >= short_handlers_in_a_row) handing_over = false;
  }

  void poll(std::unique_lock<std::mutex>& lock) {
    polling = true;
    served_since_poll = 0;
    const bool all_taken = ready.empty();
    const Deadline deadline = all_taken ? Deadline::never() : Deadline(Clock::time_point::min());
    lock.unlock();
    std::array<Request, served_between_polls> batch;
    const std::size_t count = lot.wait(batch, deadline);
    lock.lock();
    polling = false;
    // A full batch may have left more behind.
    if (all_taken && count < batch.size()) emptied = true;
    for (std::size_t i = 0; i < count; ++i) ready.push(std::move(batch.at(i)));
    if (count > 0 && sentinel_asleep) {
      sentinel_asleep = false;
      watch.notify_one();
    }
  }

  // A worker without work keeps watch if nobody does, else it sleeps: whenever one sleeps, one
  // keeps watch.
  void sleep(std::unique_lock<std::mutex>& lock) {
    if (sentinel) {
      ++sleeping;
      idle.wait(lock, [this] { return calls > 0 || stopping; });
      if (calls > 0) --calls;
      if (!std::exchange(sentinel_due, false)) return;
    }
    sentinel = true;
    keep_watch(lock);
    sentinel = called = sentinel_asleep = false;
    if (sleeping == 0 || stopping) return;
    sentinel = sentinel_due = true;
    call_sleeper();
  }

  void keep_watch(std::unique_lock<std::mutex>& lock) {
    unsigned quiet = 0;
    unsigned crowded = 0;
    while (!stopping && !called) {
      if (quiet >= quiet_ticks) {
        sentinel_asleep = true;
        watch.wait(lock, [this] { return !sentinel_asleep || called || stopping; });
        quiet = 0;
        continue;
      }
      const auto seen = progress;
      emptied = false;
      watch.wait_for(lock, tick, [this] { return called || stopping; });
      if (ready.empty() && polling) {
        ++quiet;
        continue;
      }
      quiet = 0;
      if (progress == seen) {
        handing_over = true;
        short_handlers = 0;
        for (std::size_t more = ready.size(); more > 1 && sleeping > 0; --more) call_sleeper();
        return;
      }
      // Served, but never to the end: there is work for one more core. Not at the first sight of
      // it: a batch that came while this thread had to wait for a core looks the same.
      crowded = !ready.empty() && !emptied ? crowded + 1 : 0;
      if (crowded >= crowded_ticks) return;
    }
  }

  // Calls a worker to the queue, if one is free; the one that polls only if it `must`.
  void call_one(bool must) {
    if (sleeping > 0) {
      call_sleeper();
    } else if (sentinel && !called) {
      called = true;
      watch.notify_one();
    } else if (must && polling) {
      lot.wake();
    }
  }

  void call_sleeper() {
    --sleeping;
    ++calls;
    idle.notify_one();
  }

  std::size_t stop(Deadline deadline) {
    std::unique_lock lock(mutex);
    stopping = true;
    idle.notify_all();
    watch.notify_all();
    lot.wake();
    const auto all_ended = [this] { return running == 0; };
    if (deadline.is_never()) {
      ended.wait(lock, all_ended);
    } else {
      ended.wait_until(lock, deadline.point(), all_ended);
    }
    if (running > 0) return running;
    lock.unlock();
    for (std::thread& thread : threads) {
      if (thread.joinable()) thread.join();
    }
    return 0;
  }

  const Overload overload;
  ParkingLot& lot;
  std::mutex mutex;
  RequestQueue ready;
  std::uint64_t progress = 0;  // requests taken from the queue
  bool polling = false;        // a worker is in lot.wait
  std::size_t served_since_poll = 0;
  bool emptied = true;  // since the last tick, all that was ready was taken
  bool handing_over = false;
  unsigned short_handlers = 0;
  std::condition_variable idle;
  std::size_t sleeping = 0;  // workers in `idle` that nobody called yet
  std::size_t calls = 0;     // calls that no worker has heard yet
  std::condition_variable watch;
  bool sentinel = false;         // a worker keeps watch, or
  bool sentinel_due = false;     // is called to do so
  bool sentinel_asleep = false;  // and needs to be told when there is something to watch over
  bool called = false;           // and is called to the queue
  bool stopping = false;
  std::condition_variable ended;
  std::size_t running = 0;
  std::size_t conversations = 0;  // running, or in the queue
  std::vector<std::thread> threads;
};

ThreadPool::ThreadPool(Options options, PolicyContext& context)
    : state_(std::make_unique<State>(options.workers == 0 ? default_workers() : options.workers,
                                     options.overload, context.take_parking_lot())) {
  if (options.overload == Overload::evict_idle) context.evict_idle();
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::process(Request request) {
  std::unique_lock lock(state_->mutex);
  if (request.conversation()) {
    state_->conversations -= state_->ready.forget_shed();
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
  state_->ready.push(std::move(request));
  state_->call_one(true);
}

DrainReport ThreadPool::drain(Deadline deadline) { return {.stuck = state_->stop(deadline)}; }

std::size_t ThreadPool::workers() const noexcept { return state_->threads.size(); }

}  // namespace net
