// How many connections may be open, and how a listener that found no slot learns of a free one. The
// connections are entries of a registry, without any socket.

module;

#include <poll.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>

module net.server:slots_test;

import :due_timer;
import :poller;
import :registry;
import :slots;

using boost::unit_test::timeout;
using net::Slots;
using Reason = net::Slots::PausedFor;

// A named namespace, because other units of the module may see what a partition declares.
namespace slots_test {

struct Entry : net::Registered {};

struct Server {
  explicit Server(std::size_t most) : slots(registry, wakeup, most) {}

  void accept() {
    Entry& entry = entries.emplace_back();
    const std::lock_guard lock(registry.mutex);
    registry.add(entry);
  }
  // In the order of a connection that ends: it leaves its slot, then signals that.
  void end_one() {
    leave();
    slots.freed();
  }
  void leave() {
    {
      const std::lock_guard lock(registry.mutex);
      registry.unlink(entries.front());
    }
    registry.done([](std::size_t) {});
    entries.pop_front();
  }
  // Returns whether the serving thread was woken up, and resets that.
  bool woken(int milliseconds = 0) {
    pollfd polled{.fd = wakeup.fileno(), .events = POLLIN, .revents = 0};
    const bool ready = ::poll(&polled, 1, milliseconds) == 1;
    wakeup.clear();
    return ready;
  }

  net::DueTimer timer;
  net::Registry registry{timer};
  net::Wakeup wakeup;
  std::deque<Entry> entries;
  Slots slots;
};

struct OfTwo : Server {
  OfTwo() : Server(2) {}
};

struct FullOfTwo : OfTwo {
  FullOfTwo() {
    accept();
    accept();
  }
};

}  // namespace slots_test

using namespace slots_test;

BOOST_AUTO_TEST_SUITE(server_slots)

BOOST_FIXTURE_TEST_CASE(each_connection_takes_a_slot_until_it_has_ended, OfTwo, *timeout(10)) {
  BOOST_TEST(slots.free() == 2U);
  accept();
  BOOST_TEST(slots.free() == 1U);
  accept();
  BOOST_TEST(slots.free() == 0U);
  end_one();
  BOOST_TEST(slots.free() == 1U);
}

BOOST_FIXTURE_TEST_CASE(beyond_the_limit_no_slot_is_free, FullOfTwo, *timeout(10)) {
  BOOST_TEST(!slots.overfull());
  accept();
  BOOST_TEST(slots.overfull());
  BOOST_TEST(slots.free() == 0U);
  end_one();
  BOOST_TEST(!slots.overfull());
  BOOST_TEST(slots.free() == 0U);
}

BOOST_FIXTURE_TEST_CASE(an_end_wakes_nobody_if_no_listener_has_paused, FullOfTwo, *timeout(10)) {
  end_one();
  BOOST_TEST(!woken());
  BOOST_TEST(!slots.anybody_paused());
  BOOST_TEST(!slots.begin_resuming());
}

BOOST_FIXTURE_TEST_CASE(an_end_after_the_pause_wakes_the_serving_thread, FullOfTwo, *timeout(10)) {
  slots.paused(Reason::slot);
  BOOST_TEST(slots.anybody_paused());
  BOOST_TEST(!woken());
  end_one();
  BOOST_TEST(woken());
  BOOST_TEST(slots.begin_resuming());
}

// The connection that ended did not see the pause, so the listener must see the slot.
BOOST_FIXTURE_TEST_CASE(an_end_before_the_pause_is_seen_by_the_listener, FullOfTwo, *timeout(10)) {
  end_one();
  slots.paused(Reason::slot);
  BOOST_TEST(woken());
  BOOST_TEST(slots.begin_resuming());
}

BOOST_FIXTURE_TEST_CASE(a_pause_for_another_reason_is_not_over_for_a_free_slot, OfTwo,
                        *timeout(10)) {
  slots.paused(Reason::other);
  BOOST_TEST(slots.anybody_paused());
  BOOST_TEST(!woken());
  BOOST_TEST(!slots.begin_resuming());
}

BOOST_FIXTURE_TEST_CASE(a_freed_slot_is_told_once, FullOfTwo, *timeout(10)) {
  slots.paused(Reason::slot);
  end_one();
  BOOST_TEST(slots.begin_resuming());
  BOOST_TEST(!slots.begin_resuming());
}

BOOST_FIXTURE_TEST_CASE(a_listener_that_stays_paused_says_so_again, FullOfTwo, *timeout(10)) {
  slots.paused(Reason::slot);
  slots.begin_resuming();
  BOOST_TEST(!slots.anybody_paused());
  slots.paused(Reason::slot);
  BOOST_TEST(slots.anybody_paused());
  end_one();
  BOOST_TEST(woken());
}

// The listener finds the only slot taken and pauses, while the connection in that slot ends. If
// both missed each other, nothing would wake the listener up again.
BOOST_AUTO_TEST_CASE(a_pause_and_an_end_at_the_same_time_do_not_miss_each_other, *timeout(60)) {
  Server server(1);
  constexpr int rounds = 50'000;
  std::atomic<int> round{0};
  std::atomic<int> ended{0};
  std::thread other([&] {
    for (int i = 1; i <= rounds; ++i) {
      for (int looks = 0; round.load() != i; ++looks) {
        if (looks > 1000) std::this_thread::yield();
      }
      server.end_one();
      ended.store(i);
    }
  });
  int missed = 0;
  for (int i = 1; i <= rounds; ++i) {
    server.accept();
    round.store(i);
    // The other thread takes some time to notice, so the pause comes earlier or later than its end.
    for (int delay = i % 512; delay > 0; --delay) static_cast<void>(ended.load());
    server.slots.paused(Reason::slot);
    while (ended.load() != i) std::this_thread::yield();
    if (!server.woken() || !server.slots.begin_resuming()) ++missed;
    server.slots.begin_resuming();
  }
  other.join();
  BOOST_TEST(missed == 0);
}

BOOST_AUTO_TEST_SUITE_END()
