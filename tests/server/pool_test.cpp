// How the pool's workers share the work: no request waits behind a blocked handler.

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <string>

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// "block\n" blocks until the gate opens; "work\n" computes for a millisecond; any other line is
// echoed at once.
struct Blocking : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  struct Shared {
    Gate gate;
    std::atomic<int> blocked{0};
    std::atomic<int> working{0};
    std::atomic<int> beside{0};  // requests that began to compute while another one did
  };
  explicit Blocking(Shared& with) : shared(with) {}
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line == "block\n") {
      ++shared.blocked;
      shared.gate.wait();
    } else if (line == "work\n") {
      if (++shared.working > 1) ++shared.beside;
      const auto end = Clock::now() + std::chrono::milliseconds(1);
      while (Clock::now() < end) {
      }
      --shared.working;
    }
    wfile.write(line.value_or(""));
    return net::Next::keep;
  }
  Shared& shared;
};

struct PoolOfBlocking : Blocking::Shared {
  explicit PoolOfBlocking(std::size_t workers)
      : server(loopback(), net::ThreadPool::Options{.workers = workers},
               [this] { return Blocking(*this); }) {}
  net::TcpServer<Blocking> server;
};

int cores() {
  cpu_set_t allowed;
  return ::sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_request_waits_behind_a_blocked_handler, *timeout(30)) {
  const LeavesNothing nothing;
  PoolOfBlocking pool(8);
  Running running(pool.server);
  std::list<Client> blocked;
  for (int i = 0; i < 4; ++i) {
    blocked.emplace_back(pool.server).send("block\n");
  }
  BOOST_REQUIRE(soon([&] { return pool.blocked == 4; }));
  Client neighbour(pool.server);
  auto slowest = Clock::duration::zero();
  for (int i = 0; i < 1000; ++i) {
    const auto begin = Clock::now();
    BOOST_REQUIRE(neighbour.ask("short\n") == "short\n");
    slowest = std::max(slowest, Clock::now() - begin);
  }
  // Four of eight workers are free all the time. The bound leaves time for a loaded machine and a
  // sanitizer.
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count();
  BOOST_TEST_MESSAGE("the slowest of 1000: " << milliseconds << " ms");
  BOOST_TEST(milliseconds < 100);
  pool.gate.open();
  for (Client& client : blocked) BOOST_TEST(client.receive(6) == "block\n");
}

BOOST_AUTO_TEST_CASE(a_burst_of_blocking_handlers_gets_all_workers, *timeout(30)) {
  const LeavesNothing nothing;
  PoolOfBlocking pool(8);
  Running running(pool.server);
  std::list<Client> clients;
  for (int i = 0; i < 8; ++i) clients.emplace_back(pool.server);
  for (Client& client : clients) client.send("block\n");
  BOOST_TEST(soon([&] { return pool.blocked == 8; }));
  pool.gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(6) == "block\n");
}

// Workers whose handlers end at the same time find that enough workers run already, one of which
// waits in the lot. No event arrives in the lot, because all clients have sent everything.
BOOST_AUTO_TEST_CASE(pipelines_use_every_core_after_their_handlers_were_blocked, *timeout(30)) {
  if (cores() < 2) return;
  const LeavesNothing nothing;
  constexpr int requests = 200;
  PoolOfBlocking pool(8);
  Running running(pool.server);
  std::list<Client> clients;
  std::string pipeline = "block\n";
  for (int i = 0; i < requests; ++i) pipeline += "work\n";
  for (int i = 0; i < 6; ++i) clients.emplace_back(pool.server).send(pipeline);
  BOOST_REQUIRE(soon([&] { return pool.blocked == 6; }));
  std::this_thread::sleep_for(100ms);  // one worker waits in the lot
  pool.gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(pipeline.size()) == pipeline);
  BOOST_TEST_MESSAGE(pool.beside << " of " << 6 * requests << " began beside another");
  BOOST_TEST(pool.beside > 3 * requests);
}

BOOST_AUTO_TEST_CASE(requests_beyond_the_workers_wait_and_are_served, *timeout(30)) {
  const LeavesNothing nothing;
  PoolOfBlocking pool(2);
  Running running(pool.server);
  std::list<Client> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(pool.server).send("block\n");
  BOOST_REQUIRE(soon([&] { return pool.blocked == 2; }));
  pool.gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(6) == "block\n");
}

BOOST_AUTO_TEST_CASE(conversations_beyond_the_workers_wait_in_order, *timeout(30)) {
  struct Counting : net::StreamRequestHandler {
    explicit Counting(std::atomic<int>& so_far) : count(so_far) {}
    void handle() {
      wfile.write(std::to_string(++count) + "\n");
      rfile.read_line();
    }
    std::atomic<int>& count;
  };
  const LeavesNothing nothing;
  std::atomic<int> count{0};
  net::TcpServer<Counting> server(loopback(), net::ThreadPool::Options{.workers = 1},
                                  [&count] { return Counting(count); });
  Running running(server);
  Client first(server);
  BOOST_TEST(first.receive(2) == "1\n");
  Client second(server);
  BOOST_REQUIRE(soon([&] { return server.stats().accepted == 2; }));
  Client third(server);
  BOOST_REQUIRE(soon([&] { return server.stats().accepted == 3; }));
  BOOST_TEST(server.stats().active == 1U);
  BOOST_TEST(soon([&] { return server.stats().waiting == 2; }));
  for (Client* client : {&first, &second, &third}) {
    if (client != &first) BOOST_TEST(client->receive(2) == (client == &second ? "2\n" : "3\n"));
    client->send("bye\n");
    BOOST_TEST(client->sees_end());
  }
}

BOOST_AUTO_TEST_CASE(a_conversation_that_waits_for_a_worker_too_long_is_shed, *timeout(30)) {
  struct Silent : net::StreamRequestHandler {
    void handle() { rfile.read_line(); }
  };
  const LeavesNothing nothing;
  net::ServerOptions options = quick();
  options.limits.request = 50ms;
  net::TcpServer<Silent> server(loopback(), options, net::ThreadPool::Options{.workers = 1});
  Running running(server);
  Client holding(server);
  BOOST_REQUIRE(soon([&] { return server.stats().active == 1; }));
  Client waiting(server);
  BOOST_TEST(waiting.sees_end());
  holding.send("bye\n");
  BOOST_TEST(holding.sees_end());
  BOOST_REQUIRE(soon([&] { return server.stats().ended() == 2; }));
  BOOST_TEST((running.stop() == net::DrainReport{}));
  BOOST_TEST(server.stats().shed == 1U);
}

namespace {

// While an object of this class exists, this thread, and those that it starts, run on one core.
class OneCore {
 public:
  OneCore() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (!CPU_ISSET(core, &before_)) continue;
      CPU_SET(core, &one);
      break;
    }
    ::sched_setaffinity(0, sizeof one, &one);
  }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;
  ~OneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

// "block\n" blocks until the gate opens; "meet\n" blocks until as many of these requests run as
// there are clients.
struct Meeting : net::StreamRequestHandler {
  static constexpr int clients = 7;
  struct State {
    Gate gate, all_met;
    std::atomic<int> blocked{0}, met{0};
  };
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  explicit Meeting(State& shared) : state(shared) {}
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line == "block\n") {
      ++state.blocked;
      state.gate.wait();
    } else {
      if (++state.met == clients) state.all_met.open();
      state.all_met.wait();
    }
    wfile.write(line.value_or(""));
    return net::Next::keep;
  }
  State& state;
};

}  // namespace

// All workers return from their handlers at the same time, and each client has another request
// waiting.
BOOST_AUTO_TEST_CASE(handlers_that_end_together_leave_no_request_behind, *timeout(60)) {
  const LeavesNothing nothing;
  Meeting::State state;
  net::TcpServer<Meeting> server(loopback(), net::ThreadPool::Options{.workers = 8},
                                 [&state] { return Meeting(state); });
  Running running(server);
  std::list<Client> clients;
  for (int i = 0; i < Meeting::clients; ++i) {
    clients.emplace_back(server).send("block\nmeet\n");
  }
  BOOST_REQUIRE(soon([&] { return state.blocked == Meeting::clients; }));
  std::this_thread::sleep_for(100ms);  // the pool has nothing to watch any more
  state.gate.open();
  for (Client& client : clients) BOOST_REQUIRE(client.receive(11) == "block\nmeet\n");
}

// A worker that returns with more of its client's requests finds another one waiting in the lot.
BOOST_AUTO_TEST_CASE(nobody_waits_for_ever_on_one_core, *timeout(60)) {
  const LeavesNothing nothing;
  const OneCore one_core;
  PoolOfBlocking pool(4);
  Running running(pool.server);
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "a line\n";
  Client held(pool.server);
  held.send("block\n" + lines);
  BOOST_REQUIRE(soon([&] { return pool.blocked == 1; }));
  Client neighbour(pool.server);
  BOOST_TEST(neighbour.ask("short\n") == "short\n");
  pool.gate.open();
  BOOST_TEST(held.receive(6 + lines.size()) == "block\n" + lines);
}
