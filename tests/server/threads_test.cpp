// How ThreadPerRequest gives requests to threads: it keeps threads, and no request starves.

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "support/server_test.hpp"

namespace {

using Threads = net::ThreadPerRequest;

// What the handlers of a test share.
struct Seen {
  void here() {
    const std::lock_guard lock(mutex);
    threads.insert(::gettid());
  }
  std::mutex mutex;
  std::set<pid_t> threads;  // the threads that ran a handler
  std::atomic<int> blocked{0};
  Gate gate;
};

// Keeps its thread from ending until the gate is open.
struct Lingering {
  ~Lingering() {
    if (gate != nullptr) gate->wait();
  }
  const Gate* gate = nullptr;
};

// "block\n" waits for the gate, and after "linger\n" the end of the thread does; each line is
// echoed.
struct Noting : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  explicit Noting(Seen& what) : seen(what) {}
  net::Next handle() {
    seen.here();
    const auto line = rfile.read_line();
    if (line == "block\n") {
      ++seen.blocked;
      seen.gate.wait();
    }
    thread_local Lingering lingering;
    if (line == "linger\n") lingering.gate = &seen.gate;
    wfile.write(line.value_or(""));
    return net::Next::keep;
  }
  Seen& seen;
};

struct NotingServer {
  explicit NotingServer(Threads::Options options)
      : server(loopback(), quick(), options, [this] { return Noting(seen); }) {}
  Seen seen;
  net::TcpServer<Noting, Threads> server;
};

// Threads that start slowly, as those that connect to a database: all but the first wait for the
// gate.
struct StartingSlowly : net::WorkerHooks {
  void worker_started() noexcept override {
    if (started++ > 0) gate.wait();
  }
  std::atomic<int> started{0};
  Gate gate;
};

// Sends requests without an end, and reads the answers.
class Flooding {
 public:
  explicit Flooding(const net::BaseServer& server) : client_(server) {
    client_.socket.settimeout(std::nullopt);
    reader_ = std::thread([this] {
      std::vector<std::byte> into(65536);
      try {
        while (client_.socket.recv(into) > 0) {
        }
      } catch (const std::system_error&) {
        // The destructor has reset the connection.
      }
    });
    writer_ = std::thread([this] {
      std::string lines;
      for (int i = 0; i < 4096; ++i) lines += "x\n";
      try {
        for (;;) client_.socket.sendall(net::bytes(lines));
      } catch (const std::system_error&) {
        // The destructor has shut the connection down.
      }
    });
  }
  Flooding(const Flooding&) = delete;
  Flooding& operator=(const Flooding&) = delete;
  ~Flooding() {
    client_.socket.shutdown(net::ShutdownHow::both);
    writer_.join();
    reader_.join();
  }

 private:
  Client client_;
  std::thread reader_;
  std::thread writer_;
};

std::size_t threads_now() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_threads, LeavesNothing)

BOOST_AUTO_TEST_CASE(the_next_request_gets_the_thread_of_the_last, *timeout(20)) {
  NotingServer noting({});
  Running running(noting.server);
  for (int i = 0; i < 10; ++i) {
    Client client(noting.server);
    for (int j = 0; j < 10; ++j) {
      BOOST_TEST(client.ask("hello\n") == "hello\n");
      // The thread is idle again a moment after the answer.
      std::this_thread::sleep_for(1ms);
    }
  }
  // One more thread for each time that the machine was too busy for that moment.
  BOOST_TEST(noting.seen.threads.size() <= 5U);
}

BOOST_AUTO_TEST_CASE(a_thread_that_nobody_needs_ends_after_a_while, *timeout(20)) {
  NotingServer noting({.keep = 500ms});
  Running running(noting.server);
  const std::size_t before = threads_now();
  {
    std::list<Client> clients;
    for (int i = 0; i < 8; ++i) clients.emplace_back(noting.server).send("block\n");
    BOOST_TEST(soon([&] { return noting.seen.blocked == 8; }));
    BOOST_TEST(threads_now() >= before + 8);
    noting.seen.gate.open();
    for (Client& client : clients) BOOST_TEST(client.receive(6) == "block\n");
  }
  BOOST_TEST(threads_now() > before);
  // The serving thread may not have been counted before.
  BOOST_TEST(soon([&] { return threads_now() <= before + 1; }));
  // The next request still finds a thread.
  Client client(noting.server);
  BOOST_TEST(client.ask("hello\n") == "hello\n");
}

BOOST_AUTO_TEST_CASE(a_thread_in_use_is_not_the_one_that_ends, *timeout(20)) {
  NotingServer noting({.keep = 200ms});
  Running running(noting.server);
  Client client(noting.server);
  const auto end = std::chrono::steady_clock::now() + 1s;
  while (std::chrono::steady_clock::now() < end) {
    BOOST_TEST(client.ask("hello\n") == "hello\n");
    std::this_thread::sleep_for(5ms);
  }
  BOOST_TEST(noting.seen.threads.size() <= 3U);
}

BOOST_AUTO_TEST_CASE(without_keeping_each_request_has_a_thread_of_its_own, *timeout(20)) {
  NotingServer noting({.keep = 0ms});
  Running running(noting.server);
  Client client(noting.server);
  for (int i = 0; i < 10; ++i) {
    BOOST_TEST(client.ask("hello\n") == "hello\n");
    std::this_thread::sleep_for(1ms);
  }
  BOOST_TEST(noting.seen.threads.size() >= 5U);
}

BOOST_AUTO_TEST_CASE(a_request_that_comes_while_a_thread_ends_is_served, *timeout(20)) {
  NotingServer noting({.max_threads = 1, .keep = 0ms});
  Running running(noting.server);
  Client client(noting.server);
  BOOST_TEST(client.ask("linger\n") == "linger\n");
  // The thread of this request ends too, and waits for the one before it.
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  std::this_thread::sleep_for(50ms);  // no event tells that it waits
  client.send("again\n");
  BOOST_TEST(soon([&] { return noting.server.load().policy.waiting == 1; }));
  noting.seen.gate.open();
  BOOST_TEST(client.receive(6) == "again\n");
}

BOOST_AUTO_TEST_CASE(a_burst_is_served_by_no_more_than_max_threads, *timeout(20)) {
  NotingServer noting({.max_threads = 4});
  Running running(noting.server);
  std::list<Client> clients;
  for (int i = 0; i < 40; ++i) clients.emplace_back(noting.server).send("block\n");
  BOOST_TEST(soon([&] { return noting.seen.blocked == 4; }));
  noting.seen.gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(6) == "block\n");
  BOOST_TEST(noting.seen.threads.size() == 4U);
}

BOOST_AUTO_TEST_CASE(a_burst_gets_a_thread_for_each_request_that_takes_long, *timeout(20)) {
  NotingServer noting({});
  Running running(noting.server);
  std::list<Client> clients;
  for (int i = 0; i < 50; ++i) clients.emplace_back(noting.server);
  // Some threads exist already; the others are made now.
  for (Client& client : clients) BOOST_TEST(client.ask("hello\n") == "hello\n");
  for (Client& client : clients) client.send("block\n");
  BOOST_TEST(soon([&] { return noting.seen.blocked == 50; }));
  Client neighbour(noting.server);
  BOOST_TEST(neighbour.ask("hello\n") == "hello\n");
  noting.seen.gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(6) == "block\n");
}

BOOST_AUTO_TEST_CASE(a_thread_that_starts_slowly_holds_nobody_up, *timeout(20)) {
  StartingSlowly hooks;
  NotingServer noting({.worker_hooks = &hooks});
  Running running(noting.server);
  Client first(noting.server);
  first.send("block\n");
  BOOST_TEST_REQUIRE(soon([&] { return noting.seen.blocked == 1; }));
  // Each of these gets a thread of its own, at the same time.
  std::list<Client> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(noting.server).send("waits\n");
  BOOST_TEST(soon([&] { return hooks.started == 4; }));
  // The first thread serves them nevertheless, and other clients when it is idle.
  noting.seen.gate.open();
  BOOST_TEST(first.receive(6) == "block\n");
  for (Client& client : clients) BOOST_TEST(client.receive(6) == "waits\n");
  for (int i = 0; i < 3; ++i) BOOST_TEST(first.ask("again\n") == "again\n");
  BOOST_TEST(hooks.started == 4);
  hooks.gate.open();
}

BOOST_AUTO_TEST_CASE(idle_threads_are_free_for_who_would_be_rejected, *timeout(20)) {
  NotingServer noting({.max_threads = 2, .overload = net::Overload::reject});
  Running running(noting.server);
  Client first(noting.server);
  Client second(noting.server);
  for (Client* client : {&first, &second}) client->send("block\n");
  BOOST_TEST(soon([&] { return noting.seen.blocked == 2; }));
  Client third(noting.server);
  third.send("hello\n");
  BOOST_TEST(third.is_closed());
  noting.seen.gate.open();
  for (Client* client : {&first, &second}) BOOST_TEST(client->receive(6) == "block\n");
  // The thread of the answer is idle a moment later.
  BOOST_TEST(soon([&] {
    Client next(noting.server);
    next.send("hello\n");
    next.end_sending();
    return next.receive_all() == "hello\n";
  }));
}

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(clients_that_flood_starve_nobody, Policy, ThreadPolicies) {
  Seen seen;
  net::TcpServer<Noting, Policy> server(loopback(), quick(), at_once<Policy>(2),
                                        [&] { return Noting(seen); });
  Running running(server);
  std::list<Flooding> floods;
  for (int i = 0; i < 4; ++i) floods.emplace_back(server);
  BOOST_TEST(soon([&] { return server.stats().requests > 1000; }));
  for (int i = 0; i < 5; ++i) {
    Client client(server);
    BOOST_TEST(client.ask("hello\n") == "hello\n");
  }
}

BOOST_AUTO_TEST_SUITE_END()
