// Closing a server: what happens to its connections.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/server_test.hpp"

namespace {

// Answers once the server drains.
struct Waiting : net::StreamRequestHandler {
  explicit Waiting(Gate& entering) : entered(entering) {}
  net::Next handle() {
    rfile.read_some(1);
    entered.open();
    wfile.write(soon([this] { return context().stopping(); }) ? "stopping" : "serving");
    return net::Next::keep;
  }
  Gate& entered;
};

// Sends a farewell at the end of the stream.
struct Farewell : net::StreamRequestHandler {
  void handle() {
    while (const auto line = rfile.read_line()) wfile.write(*line);
    wfile.write("farewell");
  }
};

// Sends until sending fails.
template <bool Conversation>
struct Flood : net::StreamRequestHandler {
  explicit Flood(Gate& sending) : begun(sending) {}
  std::conditional_t<Conversation, void, net::Next> handle() {
    rfile.read_some();
    const std::string block = pattern(1'000'000);
    for (;;) {
      wfile.write(block);
      begun.open();
    }
  }
  Gate& begun;
};

using Floods =
    std::tuple<With<Flood<false>, net::ThreadPool>, With<Flood<false>, net::ThreadPerRequest>,
               With<Flood<false>, net::ForkPerRequest>, With<Flood<false>, net::Inline>,
               With<Flood<true>, net::ThreadPool>, With<Flood<true>, net::ThreadPerRequest>,
               With<Flood<true>, net::ForkPerRequest>, With<Flood<true>, net::Inline>>;

// Without ThreadPool: a pool whose workers are all held takes no requests.
using Queueing = std::tuple<net::ThreadPerRequest, net::ForkPerRequest>;

// Closes a server in a thread, and waits until the drain has begun.
class Closing {
 public:
  Closing(net::BaseServer& server, net::Deadline deadline)
      : thread_([this, &server, deadline] { report = server.server_close(deadline); }) {}
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  ~Closing() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  net::DrainReport report;

 private:
  std::thread thread_;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_drain, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(idle_clients_are_closed, Policy, Policies) {
  net::TcpServer<Echo, Policy> server{loopback(), quick()};
  Running running{server};
  Client silent{server};
  Client answered{server};
  BOOST_TEST(answered.ask("hello") == "hello");
  BOOST_TEST(soon([&] { return server.stats().accepted == 2; }));
  const net::DrainReport report = running.stop();
  BOOST_TEST(report.closed_idle == 2U);
  BOOST_TEST(report.cut + report.dropped + report.stuck + report.drained == 0U);
  BOOST_TEST(silent.sees_end());
  BOOST_TEST(answered.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_in_hand_is_served, Policy, Policies) {
  Gate entered;
  net::TcpServer<Waiting, Policy> server{loopback(), quick(), [&] { return Waiting(entered); }};
  Running running{server};
  Client client{server};
  // There is more input than one request, so the connection is kept.
  client.send("12");
  BOOST_TEST(entered.wait());
  Closing closing{server, 10s};
  BOOST_TEST(client.receive_all() == "stoppingstopping");
  closing.join();
  BOOST_TEST(closing.report.drained + closing.report.closed_idle == 1U);
  BOOST_TEST(closing.report.cut + closing.report.dropped + closing.report.stuck == 0U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_got_through_to_the_kernel_is_served, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Client one{server};
  Client two{server};
  one.send("one");
  two.send("two");
  Closing closing{server, 10s};
  BOOST_TEST(one.receive_all() == "one");
  BOOST_TEST(two.receive_all() == "two");
  closing.join();
  BOOST_TEST(closing.report.cut + closing.report.dropped + closing.report.stuck == 0U);
  check_sum(server);
  BOOST_TEST(server.stats().accepted == 2U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_silent_conversation_sees_the_end_of_its_stream, Policy, Policies) {
  net::TcpServer<Farewell, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("hello\n") == "hello\n");
  Closing closing{server, 10s};
  BOOST_TEST(client.receive_all() == "farewell");
  closing.join();
  BOOST_TEST((closing.report == net::DrainReport{.drained = 1}));
}

// A client that sends its next request as soon as it is answered is never silent. Its protocol
// cannot announce that the server is stopping, so the server closes the connection between two
// requests, instead of cutting it in the middle of one.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(busy_clients_are_ended_after_an_answer, Policy, Policies) {
  net::TcpServer<LineEcho, Policy> server{loopback(), quick()};
  Running running{server};
  std::atomic<int> busy{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      Client client{server};
      for (bool counted = false;; counted = true) {
        try {
          client.send("hello\n");
          const std::string answer = client.receive(6);
          if (answer.empty()) return;  // ended after an answer
          if (answer != "hello\n") ++wrong;
        } catch (const std::system_error&) {
          return;  // the connection ended before the client asked again
        } catch (const net::EndOfStream&) {
          return;
        }
        if (!counted) ++busy;
      }
    });
  }
  BOOST_TEST(soon([&] { return busy == 4; }));
  const auto begin = std::chrono::steady_clock::now();
  const net::DrainReport report = running.stop(10s);
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 2s));
  for (std::thread& client : clients) client.join();
  BOOST_TEST(wrong == 0);
  BOOST_TEST((report == net::DrainReport{.drained = 4}));
}

// The second request arrives while the first one is handled, after the quiet grace.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_had_arrived_before_the_answer_is_served, Policy, Policies) {
  struct Slow : LineEcho {
    explicit Slow(const Gate& end) : may_end(end) {}
    net::Next handle() {
      const auto line = rfile.read_line();
      if (line == "one\n") may_end.wait();
      wfile.write(line.value_or(""));
      return net::Next::keep;
    }
    const Gate& may_end;
  };
  Gate end;
  net::TcpServer<Slow, Policy> server{loopback(), quick(), [&] { return Slow(end); }};
  Running running{server};
  Client client{server};
  client.send("one\n");
  BOOST_TEST(soon([&] { return server.stats().requests == 1; }));
  Closing closing{server, 10s};
  std::this_thread::sleep_for(3 * quick().quiet_grace);  // the grace itself is tested
  client.send("two\n");
  end.open();
  BOOST_TEST(client.receive_all() == "one\ntwo\n");
  closing.join();
  BOOST_TEST((closing.report == net::DrainReport{.drained = 1}));
}

// The handler returns Next::more again and again, and writes nothing.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_that_always_goes_on_is_cut, Policy, ThreadPolicies) {
  struct Endless : net::StreamRequestHandler {
    net::Next handle() { return net::Next::more; }
  };
  net::TcpServer<Endless, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("x");
  BOOST_TEST(soon([&] { return server.stats().requests == 1; }));
  BOOST_TEST((running.stop(200ms) == net::DrainReport{.cut = 1}));
}

// A request of one server waits in the queue of a policy for the end of a conversation of another.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_waits_for_another_server_is_cut, Policy, Queueing) {
  struct Holding : net::StreamRequestHandler {
    explicit Holding(const Gate& end) : may_end(end) {}
    void handle() {
      wfile.write("x");
      may_end.wait();
    }
    const Gate& may_end;
  };
  Gate end;
  const net::SharedPolicy<Policy> policy{at_once<Policy>(1)};
  net::TcpServer<Holding, Policy> other{loopback(), quick(), policy, [&] { return Holding(end); }};
  Running running_other{other};
  Client holding{other};
  BOOST_TEST(holding.receive(1) == "x");
  {
    net::TcpServer<Echo, Policy> server{loopback(), quick(), policy};
    Running running{server};
    Client waiting{server};
    waiting.send("x");
    BOOST_TEST(soon([&] { return server.stats().active == 1; }));
    BOOST_TEST((running.stop(200ms) == net::DrainReport{.cut = 1}));
  }
  end.open();
}

// The server greets the client, which sends nothing.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_never_spoke_counts_as_idle, Policy, Policies) {
  struct Greeting : net::StreamRequestHandler {
    void handle() {
      wfile.write("hello");
      while (rfile.read_line()) {
      }
    }
  };
  net::TcpServer<Greeting, Policy> server{loopback(), quick()};
  Running running{server};
  Client silent{server};
  BOOST_TEST(silent.receive(5) == "hello");
  BOOST_TEST((running.stop(10s) == net::DrainReport{.closed_idle = 1}));
  BOOST_TEST(silent.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_still_sends_at_the_deadline_is_cut, Form, Floods) {
  using Handler = typename Form::Handler;
  Gate begun;
  typename Form::Server server{loopback(), quick(), [&] { return Handler(begun); }};
  Running running{server};
  Client deaf{server};
  deaf.send("x");
  BOOST_TEST(begun.wait());
  const auto begin = std::chrono::steady_clock::now();
  const net::DrainReport report = running.stop(200ms);
  const auto took = std::chrono::steady_clock::now() - begin;
  BOOST_TEST((took >= 200ms));
  BOOST_TEST((took < 2s));
  BOOST_TEST((report == net::DrainReport{.cut = 1}));
  BOOST_TEST(server.stats().cut == 1U);
  BOOST_TEST(deaf.is_closed());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_waiting_conversation_is_dropped_at_the_deadline, Policy,
                              Concurrent) {
  Gate begun;
  net::TcpServer<Flood<true>, Policy> server{loopback(), quick(), at_once<Policy>(1),
                                             [&] { return Flood<true>(begun); }};
  Running running{server};
  Client deaf{server};
  deaf.send("x");
  BOOST_TEST(begun.wait());
  Client waiting{server};
  BOOST_TEST(soon([&] { return server.stats().accepted == 2; }));
  const net::DrainReport report = running.stop(100ms);
  BOOST_TEST(report.cut == 1U);
  BOOST_TEST(report.dropped == 1U);
  BOOST_TEST(waiting.is_closed());
}

// The request takes longer than the quiet grace, which is the only difference between a slow client
// and a silent one.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_that_comes_slowly_is_answered, Policy, Policies) {
  net::ServerOptions options = quick();
  options.quiet_grace = 50ms;
  net::TcpServer<LineEcho, Policy> server{loopback(), options};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("first\n") == "first\n");
  client.send("ha");
  std::thread slow([&] {
    std::this_thread::sleep_for(300ms);
    client.send("lf\n");
  });
  const net::DrainReport report = running.stop(5s);
  slow.join();
  BOOST_TEST(client.receive(5) == "half\n");
  BOOST_TEST(report.drained + report.closed_idle == 1U);
  BOOST_TEST(report.cut + report.dropped + report.stuck == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
