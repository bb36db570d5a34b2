// The queue in which policies keep requests: its order, and the requests that leave it because they
// have waited for too long.

#include <condition_variable>
#include <list>
#include <mutex>

#include "support/server_test.hpp"

namespace {

// Runs nothing. Requests stay in its queue until the test takes them.
class Keeping {
 public:
  struct Options {};
  Keeping(Options, net::PolicyContext&) {}

  void process(net::Request request) {
    const std::lock_guard lock(mutex_);
    queue_.push(std::move(request));
    changed_.notify_all();
  }
  void expire() {
    net::RequestQueue overdue;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    conversations_overdue_ += queue_.take_overdue(overdue);
    overdue_ += overdue.size();
    changed_.notify_all();
  }
  net::DrainReport drain(net::Deadline) { return {}; }

  bool await_size(std::size_t size) {
    return await([&] { return queue_.size() == size; });
  }
  bool await_overdue(std::size_t count) {
    return await([&] { return overdue_ == count; });
  }
  // Returns how many of the overdue requests were conversations, according to the queue.
  std::size_t conversations_overdue() {
    const std::lock_guard lock(mutex_);
    return conversations_overdue_;
  }
  void take_all(net::RequestQueue& taken) {
    const std::lock_guard lock(mutex_);
    taken.append(queue_);
  }

 private:
  template <class F>
  bool await(F condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  net::RequestQueue queue_;
  std::size_t overdue_ = 0;
  std::size_t conversations_overdue_ = 0;
};

net::ServerOptions limited_to(std::chrono::milliseconds limit) {
  net::ServerOptions options = quick();
  options.limits.request = limit;
  return options;
}

// Two servers that share a queue. The requests of one of them expire soon.
struct Servers : LeavesNothing {
  // Adds a client whose request is the last one in the queue.
  Client& add(net::BaseServer& server) {
    Client& client = clients.emplace_back(server);
    BOOST_TEST_REQUIRE(policy->await_size(++added));
    return client;
  }

  net::SharedPolicy<Keeping> policy;
  net::TcpServer<EchoConversation, Keeping> patient{loopback(), limited_to(1h), policy};
  net::TcpServer<EchoConversation, Keeping> hasty{loopback(), limited_to(100ms), policy};
  std::list<Client> clients;
  std::size_t added = 0;
};

// Takes the first request, and returns whether that client sent it.
bool pops(net::RequestQueue& queue, const Client& client) {
  const net::Request request = queue.pop();
  return request.peer() == client.socket.getsockname();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_queue)

BOOST_FIXTURE_TEST_CASE(requests_leave_in_the_order_in_which_they_came, Servers, *timeout(20)) {
  Running running(patient);
  const Client& first = add(patient);
  const Client& second = add(patient);
  const Client& third = add(patient);
  net::RequestQueue queue;
  policy->take_all(queue);
  BOOST_TEST(policy->await_size(0));
  BOOST_TEST(queue.size() == 3U);
  BOOST_TEST(pops(queue, first));
  BOOST_TEST(pops(queue, second));
  queue.push(queue.pop());  // the only one
  BOOST_TEST(pops(queue, third));
  BOOST_TEST(queue.empty());
  BOOST_TEST(queue.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_request_may_come_first_and_others_behind, Servers, *timeout(20)) {
  Running running(patient);
  const Client& first = add(patient);
  const Client& second = add(patient);
  net::RequestQueue came;
  policy->take_all(came);
  net::RequestQueue queue;
  net::Request request = came.pop();
  queue.push_front(came.pop());
  queue.push_front(std::move(request));
  added = 0;
  const Client& third = add(patient);
  policy->take_all(queue);
  BOOST_TEST(pops(queue, first));
  BOOST_TEST(pops(queue, second));
  BOOST_TEST(pops(queue, third));
  BOOST_TEST(queue.empty());
}

BOOST_FIXTURE_TEST_CASE(what_a_queue_holds_at_its_end_is_dropped, Servers, *timeout(20)) {
  Running running(patient);
  Client& first = add(patient);
  Client& second = add(patient);
  {
    net::RequestQueue queue;
    policy->take_all(queue);
  }
  BOOST_TEST(first.sees_end());
  BOOST_TEST(second.sees_end());
  BOOST_TEST(patient.stats().dropped == 2U);
}

BOOST_FIXTURE_TEST_CASE(what_is_overdue_leaves_and_the_rest_keeps_its_order, Servers,
                        *timeout(20)) {
  Running one(patient);
  const Client& first = add(patient);
  const Client& second = add(patient);
  const Client& third = add(patient);
  // The requests of the hasty server come before and between the others.
  net::RequestQueue came;
  policy->take_all(came);
  Running other(hasty);
  added = 0;
  Client& late = add(hasty);
  net::RequestQueue mixed;
  policy->take_all(mixed);
  for (int i = 0; i < 3; ++i) mixed.push(came.pop());
  added = 0;
  Client& later = add(hasty);
  policy->take_all(mixed);
  net::RequestQueue overdue;
  std::size_t conversations = 0;
  BOOST_TEST(soon([&] {
    conversations += mixed.take_overdue(overdue);
    return overdue.size() == 2;
  }));
  BOOST_TEST(conversations == 2U);
  BOOST_TEST(pops(overdue, late));
  BOOST_TEST(pops(overdue, later));
  BOOST_TEST(late.sees_end());
  BOOST_TEST(later.sees_end());
  BOOST_TEST(hasty.stats().shed_waiting == 2U);
  BOOST_TEST(mixed.size() == 3U);
  BOOST_TEST(pops(mixed, first));
  BOOST_TEST(pops(mixed, second));
  BOOST_TEST(pops(mixed, third));
  BOOST_TEST(mixed.empty());
}

// The server itself calls the policy's `expire` when a request is overdue; the test does not.
BOOST_FIXTURE_TEST_CASE(the_server_says_that_something_is_overdue, Servers, *timeout(20)) {
  Running one(patient);
  Running other(hasty);
  const Client& stays = add(patient);
  Client& leaves = clients.emplace_back(hasty);
  BOOST_TEST(policy->await_overdue(1));
  BOOST_TEST(leaves.sees_end());
  net::RequestQueue queue;
  policy->take_all(queue);
  BOOST_TEST(queue.size() == 1U);
  BOOST_TEST(pops(queue, stays));
}

BOOST_FIXTURE_TEST_CASE(overdue_datagrams_are_not_counted_as_conversations, Servers, *timeout(20)) {
  net::UdpServer<EchoDatagram, Keeping> datagrams{loopback(), limited_to(100ms), policy};
  Running one(hasty);
  Running other(datagrams);
  DatagramClient asks(datagrams);
  asks.send("one");
  asks.send("two");
  Client client(hasty);
  BOOST_TEST(policy->await_overdue(3));
  BOOST_TEST(policy->conversations_overdue() == 1U);
  BOOST_TEST(client.sees_end());
  BOOST_TEST(soon([&] { return datagrams.stats().shed_waiting == 2; }));
}

BOOST_FIXTURE_TEST_CASE(at_the_end_of_a_drain_all_of_the_server_is_overdue, Servers, *timeout(20)) {
  Running stays(hasty);
  Running running(patient);
  Client& first = add(patient);
  Client& second = add(patient);
  running.stop(10ms);
  BOOST_TEST(policy->await_overdue(2));
  BOOST_TEST(policy->await_size(0));
  BOOST_TEST(first.is_closed());
  BOOST_TEST(second.is_closed());
}

BOOST_AUTO_TEST_SUITE_END()
