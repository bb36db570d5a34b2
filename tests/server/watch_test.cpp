// Descriptors that a policy watches, and what the watching functions may do.

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "support/server_test.hpp"

namespace {

// Readable from the beginning.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { ::close(descriptor); }

  const int descriptor = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
};

// Calls `begin` with its context.
struct Watching {
  struct Options {
    std::function<void(net::PolicyContext&)> begin;
  };
  Watching(const Options& options, net::PolicyContext& context) { options.begin(context); }
  void process(net::Request request) {
    if (request.step() == net::Next::keep) request.park();
  }
  static net::DrainReport drain(net::Deadline) { return {}; }
};

using Server = net::TcpServer<Echo, Watching>;

// Watches the same event again with each request.
class Rewatching {
 public:
  struct Options {};
  Rewatching(Options, net::PolicyContext& context) : context_(context) { watch(); }

  void process(net::Request request) {
    {
      const std::lock_guard lock(mutex_);
      context_.unwatch(event_.descriptor);
      watch();
    }
    if (request.step() == net::Next::keep) request.park();
  }
  static net::DrainReport drain(net::Deadline) { return {}; }

  std::atomic<std::size_t> seen{0};

 private:
  void watch() {
    context_.watch(event_.descriptor,
                   [this, text = std::string(100, 'x')] { seen += text.size(); });
  }

  net::PolicyContext& context_;
  const Event event_;
  std::mutex mutex_;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_watch, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_watch_lives_while_it_runs_whatever_it_unwatches, *timeout(20)) {
  const Event first;
  const Event second;
  const Event third;
  Gate done;
  auto owned = std::make_shared<int>(7);  // owned by the function
  const std::weak_ptr<int> still_owned = owned;
  bool alive = false;
  const auto begin = [&](net::PolicyContext& context) {
    context.watch(first.descriptor, [&, mine = std::move(owned)] {
      for (const Event* event : {&first, &second, &third}) context.unwatch(event->descriptor);
      alive = !still_owned.expired();
      done.open();
    });
    for (const Event* event : {&second, &third}) context.watch(event->descriptor, [] {});
  };
  Server server{loopback(), quick(), Watching::Options{begin}};
  Running running(server);
  BOOST_TEST(done.wait());
  BOOST_TEST(Client(server).ask("and then?") == "and then?");
  running.stop();
  BOOST_TEST(alive);
  BOOST_TEST(still_owned.expired());
}

BOOST_AUTO_TEST_CASE(what_was_unwatched_is_not_called_any_more, *timeout(20)) {
  const Event first;
  const Event second;
  int calls = 0;
  const auto begin = [&](net::PolicyContext& context) {
    // Both descriptors are ready at once, and each function unwatches the other one.
    context.watch(first.descriptor, [&] {
      ++calls;
      context.unwatch(second.descriptor);
      context.unwatch(first.descriptor);
    });
    context.watch(second.descriptor, [&] {
      ++calls;
      context.unwatch(first.descriptor);
      context.unwatch(second.descriptor);
    });
  };
  Server server{loopback(), quick(), Watching::Options{begin}};
  Running running(server);
  BOOST_TEST(Client(server).ask("hello") == "hello");
  BOOST_TEST(Client(server).ask("again") == "again");
  running.stop();
  BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(a_watch_may_be_replaced_by_another_while_it_runs, *timeout(20)) {
  const Event event;
  Gate done;
  std::string calls;
  const auto begin = [&](net::PolicyContext& context) {
    context.watch(event.descriptor, [&, text = std::string(100, 'x')] {
      context.unwatch(event.descriptor);
      context.watch(event.descriptor, [&] {
        context.unwatch(event.descriptor);
        calls += "second";
        done.open();
      });
      calls += std::to_string(text.size());
    });
  };
  Server server{loopback(), quick(), Watching::Options{begin}};
  Running running(server);
  BOOST_TEST(done.wait());
  running.stop();
  BOOST_TEST(calls == "100second");
}

BOOST_AUTO_TEST_CASE(a_server_may_unwatch_while_another_one_of_the_policy_dispatches,
                     *timeout(20)) {
  const net::SharedPolicy<Rewatching> policy;
  net::TcpServer<Echo, Rewatching> one{loopback(), quick(), policy};
  net::TcpServer<Echo, Rewatching> two{loopback(), quick(), policy};
  Running running_one(one);
  Running running_two(two);
  std::thread other([&] {
    Client client(two);
    for (int i = 0; i < 300; ++i) client.ask("two");
  });
  Client client(one);
  for (int i = 0; i < 300; ++i) client.ask("one");
  other.join();
  BOOST_TEST(soon([&] { return policy->seen > 0; }));
  BOOST_TEST(policy->seen % 100 == 0U);
}

BOOST_AUTO_TEST_CASE(what_a_watch_owns_may_unwatch_when_it_is_freed, *timeout(20)) {
  const Event first;
  const Event second;
  Gate done;
  const auto begin = [&](net::PolicyContext& context) {
    context.watch(second.descriptor, [] {});
    const std::shared_ptr<void> last(nullptr, [&](void*) {
      context.unwatch(second.descriptor);
      done.open();
    });
    context.watch(first.descriptor, [&, last] { context.unwatch(first.descriptor); });
  };
  Server server{loopback(), quick(), Watching::Options{begin}};
  Running running(server);
  BOOST_TEST(done.wait());
}

BOOST_AUTO_TEST_SUITE_END()
