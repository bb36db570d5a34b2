// The order in which a parking lot wakes a thread and unlocks. After the lot has released its lock,
// the request may be served and the server destroyed together with the lot, so the lot must not be
// touched any more.

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>

#include <string>

#include "support/server_test.hpp"

namespace {

// For this thread: the lot's descriptor while a request is handed to the lot, and whether it was
// readable at each unlocking.
thread_local int watched_lot = -1;
thread_local std::string readable_at_unlocks;

bool is_readable(int descriptor) {
  pollfd polled{descriptor, POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

}  // namespace

extern "C" int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  using Unlock = int (*)(pthread_mutex_t*);
  static const auto unlock = reinterpret_cast<Unlock>(::dlsym(RTLD_NEXT, "pthread_mutex_unlock"));
  if (watched_lot >= 0) readable_at_unlocks += is_readable(watched_lot) ? "yes " : "no ";
  return unlock(mutex);
}

namespace {

// Takes the lot, and parks its first request as all policies do with a request that has more to do.
struct OwnLot {
  struct Options {
    std::string* seen;
  };
  OwnLot(Options given, net::PolicyContext& context)
      : options(given), lot(context.take_parking_lot()) {}
  void start() {
    thread = std::thread([this] {
      while (!stopped) {
        std::array<net::Request, 8> ready;
        const std::size_t count = lot.wait(ready, net::Deadline::never());
        for (std::size_t i = 0; i < count; ++i) serve(std::move(ready.at(i)));
      }
    });
  }
  void serve(net::Request request) {
    if (request.step() != net::Next::keep) return;
    const bool more = request.ready();
    if (more) watched_lot = lot.fileno();
    request.park();
    watched_lot = -1;
    if (more && options.seen->empty()) *options.seen = readable_at_unlocks;
  }
  void process(net::Request request) { serve(std::move(request)); }
  net::DrainReport drain(net::Deadline) {
    stopped = true;
    lot.wake();
    thread.join();
    return {};
  }

  Options options;
  net::ParkingLot& lot;
  std::atomic<bool> stopped{false};
  std::thread thread;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_wake, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_lot_is_readable_before_it_is_unlocked, *timeout(20)) {
  std::string seen;
  net::TcpServer<LineEcho, OwnLot> server{loopback(), quick(), OwnLot::Options{&seen}};
  Running running(server);
  std::string lines;  // more lines than are served in a row
  for (int i = 0; i < 100; ++i) lines += "line\n";
  BOOST_TEST(Client(server).ask(lines) == lines);
  running.stop();
  BOOST_TEST(seen == "yes ");
}

BOOST_AUTO_TEST_SUITE_END()
