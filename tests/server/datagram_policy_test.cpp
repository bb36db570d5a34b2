// Datagrams under policies of your own, and what happens to datagrams that no policy takes in time.

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>

#include "support/server_test.hpp"

namespace {

// One thread that gets requests through `process`, and does not know about datagrams.
class OneWorker {
 public:
  struct Options {};
  OneWorker(Options, net::PolicyContext&) {}
  ~OneWorker() { stop_.request_stop(); }  // and ended_ waits

  void process(net::Request request) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(request));
    changed_.notify_one();
  }

  net::DrainReport drain(net::Deadline) {
    stop_.request_stop();
    ended_.wait();
    return {};
  }

 private:
  void work() {
    for (std::unique_lock lock(mutex_);; lock.lock()) {
      if (!changed_.wait(lock, stop_.get_token(), [this] { return !waiting_.empty(); })) return;
      net::Request request = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      if (request.step() == net::Next::keep) request.park();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<net::Request> waiting_;
  std::stop_source stop_;
  std::future<void> ended_ = std::async(std::launch::async, &OneWorker::work, this);
};

// One thread that takes the parking lot, and counts the requests from the lot and from `process`.
class PollingWorker {
 public:
  struct Options {};
  PollingWorker(Options, net::PolicyContext& context) : lot_(context.take_parking_lot()) {}
  ~PollingWorker() { stop(); }  // and ended_ waits

  void process(net::Request request) {
    ++handed_over;
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(request));
    }
    lot_.wake();
  }

  net::DrainReport drain(net::Deadline) {
    stop();
    ended_.wait();
    return {};
  }

  std::atomic<int> polled{0};
  std::atomic<int> handed_over{0};

 private:
  void work() {
    std::array<net::Request, 64> ready;
    while (!stopping_) {
      const std::size_t count = lot_.wait(ready, net::Deadline::never());
      polled += static_cast<int>(count);
      for (net::Request& request : std::span(ready).first(count)) serve(request);
      std::deque<net::Request> waiting;
      {
        const std::lock_guard lock(mutex_);
        waiting.swap(waiting_);
      }
      for (net::Request& request : waiting) serve(request);
    }
  }

  static void serve(net::Request& request) {
    if (request.step() == net::Next::keep) request.park();
  }

  void stop() {
    stopping_ = true;
    lot_.wake();
  }

  net::ParkingLot& lot_;
  std::mutex mutex_;
  std::deque<net::Request> waiting_;
  std::atomic<bool> stopping_{false};
  std::future<void> ended_ = std::async(std::launch::async, &PollingWorker::work, this);
};

using MyPolicies = std::tuple<OneWorker, PollingWorker>;
using HandedOver = std::tuple<net::ThreadPerRequest, net::ForkPerRequest>;

// Answers when the gate is open.
struct Waiting : net::DatagramRequestHandler {
  explicit Waiting(const Gate& opened) : gate(opened) {}
  void handle() {
    gate.wait();
    reply(packet());
  }
  const Gate& gate;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_datagram_policy, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_policy_of_ones_own_serves_datagrams, Policy, MyPolicies) {
  net::UdpServer<EchoDatagram, Policy> server{loopback(), quick()};
  Running running(server);
  DatagramClient one(server);
  DatagramClient other(server);
  for (int i = 0; i < 50; ++i) {
    one.send("one");
    BOOST_TEST(other.ask("other") == "other");
    BOOST_TEST(one.receive() == "one");
  }
  running.stop();
  BOOST_TEST(server.stats().served == 100U);
}

BOOST_AUTO_TEST_CASE(who_takes_the_lot_finds_datagrams_there, *timeout(20)) {
  net::UdpServer<EchoDatagram, PollingWorker> server{loopback(), quick()};
  DatagramClient client(server);
  {
    Running running(server);
    for (int i = 0; i < 20; ++i) BOOST_TEST(client.ask("hello") == "hello");
    BOOST_TEST(server.policy().polled + server.policy().handed_over == 20);
    // All but the one that may have arrived before the server's loop ran.
    BOOST_TEST(server.policy().polled >= 19);
  }
}

BOOST_AUTO_TEST_CASE(servers_of_both_kinds_share_a_policy_that_polls, *timeout(20)) {
  const net::SharedPolicy<PollingWorker> worker;
  net::TcpServer<Echo, PollingWorker> connections{loopback(), quick(), worker};
  net::UdpServer<EchoDatagram, PollingWorker> datagrams{loopback(), quick(), worker};
  Running one(connections);
  Running other(datagrams);
  Client client(connections);
  DatagramClient asks(datagrams);
  for (int i = 0; i < 10; ++i) {
    BOOST_TEST(client.ask("stream") == "stream");
    BOOST_TEST(asks.ask("datagram") == "datagram");
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_that_waits_too_long_is_shed, Policy, HandedOver) {
  Gate gate;
  auto options = quick();
  options.limits.request = 200ms;
  net::UdpServer<Waiting, Policy> server{loopback(), options, at_once<Policy>(1),
                                         [&] { return Waiting(gate); }};
  Running running(server);
  DatagramClient client(server);
  client.send("first");
  client.send("second");
  BOOST_TEST(soon([&] { return server.stats().shed_waiting == 1; }));
  gate.open();
  BOOST_TEST(client.receive() == "first");
  BOOST_TEST(client.ask("third") == "third");
}

BOOST_AUTO_TEST_SUITE_END()
