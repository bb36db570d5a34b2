// The work of a handler beside echoing, the same in every server of the benchmark:
//   --compute MICROSECONDS     arithmetic for each request
//   --sleep MICROSECONDS       a pause for one request in --every N [1]; one counter for the server
//   --regime MILLISECONDS      sleeps only in every other period of that length, the odd ones of
//                              CLOCK_MONOTONIC, so that the load program knows when they change
//   --mark                     inverts the first byte of an answer whose handler slept
//   --hold MICROSECONDS        a pause for each request that begins with "hold me!"
//   --loops N                  iterations of the arithmetic in a microsecond
//   --calibrate                prints that number for this machine, and ends
// The benchmark calibrates once, and passes the number to every server of a run. So all of them do
// the same arithmetic for a request, however busy the machine is when they start.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arguments.h"

#define HOLD_REQUEST "hold me!"

struct work {
  int given;  // whether any work is given; otherwise the server is an echo
  int64_t iterations;
  int64_t sleep_ns, period_ns, hold_ns;
  unsigned every, turn;
  int mark;
};

static struct work work = {0, 0, 0, 0, 0, 1, 0, 0};

// Marsaglia's xorshift: each step needs the one before, so neither a compiler nor a processor can
// do several of them at a time.
__attribute__((noinline)) static void compute(int64_t iterations) {
  uint64_t x = 88172645463325252u;
  for (int64_t i = 0; i < iterations; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  __asm__ volatile("" : : "r"(x));  // so that the compiler keeps the computation
}

static inline int64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Returns the iterations in a microsecond, by the fastest of many short trials: other programs on
// the machine can only make a trial slower.
static inline int calibrate_compute(void) {
  const int64_t iterations = 60000;
  int64_t best = INT64_MAX;
  for (int trial = 0; trial < 300; ++trial) {
    const int64_t begin = monotonic_ns();
    compute(iterations);
    const int64_t time = monotonic_ns() - begin;
    if (time < best) best = time;
  }
  return (int)(iterations * 1000 / best);
}

// Reads the arguments above. With --calibrate, prints the number and ends the program.
static inline void take_work(int count, char** arguments) {
  if (has_argument(count, arguments, "--calibrate")) {
    printf("%d\n", calibrate_compute());
    exit(EXIT_SUCCESS);
  }
  const int microseconds = number_argument(count, arguments, "--compute", 0);
  if (microseconds > 0) {
    int loops = number_argument(count, arguments, "--loops", 0);
    if (loops <= 0) loops = calibrate_compute();
    work.iterations = (int64_t)microseconds * loops;
  }
  work.sleep_ns = number_argument(count, arguments, "--sleep", 0) * INT64_C(1000);
  work.hold_ns = number_argument(count, arguments, "--hold", 0) * INT64_C(1000);
  work.period_ns = number_argument(count, arguments, "--regime", 0) * INT64_C(1000000);
  const int every = number_argument(count, arguments, "--every", 1);
  work.every = every > 0 ? (unsigned)every : 1;
  work.mark = has_argument(count, arguments, "--mark");
  work.given = work.iterations > 0 || work.sleep_ns > 0 || work.hold_ns > 0;
}

static inline void sleep_ns(int64_t time) {
  struct timespec left = {(time_t)(time / 1000000000), (long)(time % 1000000000)};
  while (nanosleep(&left, &left) != 0) {
  }
}

// Does the work of a request. Returns whether it slept by --sleep.
static inline int do_work(const char* request, size_t size) {
  if (work.iterations > 0) compute(work.iterations);
  if (work.hold_ns > 0 && size >= strlen(HOLD_REQUEST) &&
      memcmp(request, HOLD_REQUEST, strlen(HOLD_REQUEST)) == 0) {
    sleep_ns(work.hold_ns);
  }
  if (work.sleep_ns == 0) return 0;
  if (work.period_ns > 0 && monotonic_ns() / work.period_ns % 2 == 0) return 0;
  if (__atomic_fetch_add(&work.turn, 1, __ATOMIC_RELAXED) % work.every != 0) return 0;
  sleep_ns(work.sleep_ns);
  return 1;
}

static inline void do_mark(char* answer) { answer[0] = (char)~answer[0]; }

// Does the work in a server that writes the answer over the request.
static inline void do_work_in_place(char* bytes, size_t size) {
  if (do_work(bytes, size) && work.mark) do_mark(bytes);
}
