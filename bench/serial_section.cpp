// Measures the part of a request that only one thread of the pool at a time can do. It serves TCP
// with a pool of --threads N workers, whose handlers echo and do what servers/work.h lists. Its
// calls of pthread_mutex_lock, pthread_mutex_unlock and epoll_wait go through functions of this
// program, which read the clock around them. On SIGTERM it prints one JSON object. The figures are
// nanoseconds for each request:
//   locked_ns    the time for which the lock of the pool was held; that lock is the one that the
//                workers take most often
//   transfer_ns  the time that it takes to bring the lock from the cache of one core to that of
//                another one, as often as a request takes the lock
//   poll_ns      the processor time that the worker that polls has spent on polling
//   serial_ns    the longer one of the lock's and the poll's times: they may run at the same time,
//                and each is done by one worker at a time

#include <dlfcn.h>
#include <pthread.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <thread>

#include "servers/arguments.h"
#include "servers/work.h"

import net.server;

namespace {

constexpr std::int64_t preempted = 20'000;  // ns; a thread that held a lock longer was preempted

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// A counter that its own thread changes, and another one reads.
class Sum {
 public:
  void add(std::int64_t more) noexcept { value_.store(get() + more, std::memory_order_relaxed); }
  std::int64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

struct Lock {
  std::atomic<const pthread_mutex_t*> mutex{nullptr};
  std::int64_t since = 0;
  Sum times, held;
};

// What a thread has done. Only the first locks that it takes are recorded.
struct Account {
  Lock* find(const pthread_mutex_t* mutex) noexcept {
    for (Lock& lock : locks) {
      if (lock.mutex == nullptr) lock.mutex = mutex;
      if (lock.mutex == mutex) return &lock;
    }
    return nullptr;
  }
  const Lock& main_lock() const noexcept {
    return *std::ranges::max_element(locks, {}, [](const Lock& lock) { return lock.times.get(); });
  }

  std::array<Lock, 8> locks;
  std::int64_t poll_since = 0;
  Sum polled;  // processor time
  Sum polls;
  Sum requests;
};

std::array<Account, 256> accounts;
std::atomic<std::size_t> threads{0};

Account& account() {
  thread_local Account& mine = accounts[std::min(threads++, accounts.size() - 1)];
  return mine;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto lock = real<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  Account& mine = account();
  if (mine.poll_since > 0 && mine.main_lock().mutex == mutex) {
    mine.polled.add(clock_ns(CLOCK_THREAD_CPUTIME_ID) - mine.poll_since);
    mine.poll_since = 0;
  }
  const int result = lock(mutex);
  if (Lock* const taken = mine.find(mutex)) taken->since = clock_ns(CLOCK_MONOTONIC);
  return result;
}

extern "C" int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto unlock = real<int (*)(pthread_mutex_t*)>("pthread_mutex_unlock");
  if (Lock* const taken = account().find(mutex); taken != nullptr && taken->since > 0) {
    const std::int64_t held = clock_ns(CLOCK_MONOTONIC) - taken->since;
    taken->since = 0;
    if (held < preempted) {
      taken->times.add(1);
      taken->held.add(held);
    }
  }
  return unlock(mutex);
}

extern "C" int epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  static const auto wait = real<int (*)(int, epoll_event*, int, int)>("epoll_wait");
  Account& mine = account();
  const std::int64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const int count = wait(epoll, events, most, timeout);
  mine.poll_since = begin;
  mine.polls.add(1);
  return count;
}

namespace {

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    const auto request = rfile.read_some();
    account().requests.add(1);
    do_work(request.data(), request.size());
    wfile.write(request);
    return net::Next::keep;
  }
};

// Returns the time that reading this clock adds to the time between two readings: the least of
// many.
std::int64_t reading(clockid_t clock) {
  std::int64_t least = preempted;
  for (int i = 0; i < 10'000; ++i) {
    const std::int64_t begin = clock_ns(clock);
    least = std::min(least, clock_ns(clock) - begin);
  }
  return least;
}

// Two threads change a word in turn. Returns the nanoseconds of a turn, or 0 if this takes so long
// that the threads do not run at the same time.
double turns_of_two() {
  constexpr int turns = 200;
  int spins = 1'000'000;  // that are left
  alignas(64) std::atomic<int> word{-1};
  std::atomic<bool> given_up{false};
  std::thread other([&] {
    word = 0;
    for (int turn = 1; turn < turns; turn += 2) {
      while (word != turn) {
        if (given_up) return;
      }
      word = turn + 1;
    }
  });
  while (word != 0 && --spins > 0) {
  }
  const std::int64_t begin = clock_ns(CLOCK_MONOTONIC);
  for (int turn = 0; turn < turns && spins > 0; turn += 2) {
    word = turn + 1;
    while (word != turn + 2 && --spins > 0) {
    }
  }
  const std::int64_t time = clock_ns(CLOCK_MONOTONIC) - begin;
  given_up = true;
  other.join();
  return spins > 0 ? static_cast<double>(time) / turns : 0;
}

// Returns the nanoseconds until one core sees what another one has written: the fastest of many
// trials, 0 if no trial succeeded.
double transfer() {
  if (std::thread::hardware_concurrency() < 2) return 0;
  double best = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const double time = turns_of_two();
    if (time > 0 && (best == 0 || time < best)) best = time;
  }
  return best;
}

void print(double transfer_ns, std::int64_t clock_cost, std::int64_t cpu_clock_cost) {
  std::map<const pthread_mutex_t*, std::int64_t> taken;
  for (const Account& each : accounts) {
    if (each.requests.get() > 0) taken[each.main_lock().mutex] += each.main_lock().times.get();
  }
  const auto pool =
      std::ranges::max_element(taken, {}, [](const auto& lock) { return lock.second; });
  if (pool == taken.end() || pool->second == 0) {
    std::puts("{}");
    return;
  }
  double requests = 0, times = 0, held = 0, polls = 0, polled = 0;
  for (const Account& each : accounts) {
    requests += static_cast<double>(each.requests.get());
    if (each.main_lock().mutex != pool->first) continue;
    times += static_cast<double>(each.main_lock().times.get());
    held += static_cast<double>(each.main_lock().held.get());
    polls += static_cast<double>(each.polls.get());
    polled += static_cast<double>(each.polled.get());
  }
  const double locked = std::max(0.0, held - times * static_cast<double>(clock_cost)) / requests;
  const double moved = times * transfer_ns / requests;
  const double poll =
      std::max(0.0, polled - polls * static_cast<double>(cpu_clock_cost)) / requests;
  std::printf(
      "{\"locked_ns\": %.1f, \"transfer_ns\": %.1f, \"poll_ns\": %.1f, \"serial_ns\": %.1f, "
      "\"locks\": %.2f, \"polls\": %.3f}\n",
      locked, moved, poll, std::max(locked + moved, poll), times / requests, polls / requests);
}

}  // namespace

int main(int count, char** arguments) {
  take_work(count, arguments);
  const double transfer_ns = transfer();
  const std::int64_t clock_cost = reading(CLOCK_MONOTONIC);
  const std::int64_t cpu_clock_cost = reading(CLOCK_THREAD_CPUTIME_ID);
  sigset_t stop;  // blocked before there are threads, which inherit it
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  const auto workers = static_cast<std::size_t>(number_argument(count, arguments, "--threads", 0));
  net::TcpServer<Echo> server{net::Address{"127.0.0.1", 0},
                              net::ThreadPool::Options{.workers = workers}};
  std::thread serving([&server] { server.serve_forever(); });
  say_listening(server.server_address().port());
  int signal = 0;
  sigwait(&stop, &signal);
  server.server_close();
  serving.join();
  print(transfer_ns, clock_cost, cpu_clock_cost);
}
