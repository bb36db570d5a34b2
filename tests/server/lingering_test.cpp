// Sockets that only wait for their peers to close, while descriptors are scarce: the server closes
// them when new connections need theirs, the oldest first, whichever server of the process owns
// them.

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "support/server_test.hpp"

namespace {

using Threads = std::tuple<net::ThreadPool, net::ThreadPerRequest>;

// Answers and closes; the client keeps its end open.
struct Goodbye : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::close;
  }
};

struct RefusesAll : net::ServerHooks {
  bool verify_request(const net::Socket&, const net::Address&) override { return false; }
};

constexpr int far = 1000;

// Client sockets whose numbers are far above those of the servers' sockets.
class Clients {
 public:
  explicit Clients(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const net::Socket socket(net::Family::ipv4);
      const int moved = ::fcntl(socket.fileno(), F_DUPFD_CLOEXEC, far);
      BOOST_REQUIRE(moved >= 0);
      clients_.push_back(std::make_unique<Client>(net::Socket::adopt(moved)));
    }
  }
  Client& connect(std::size_t number, const net::BaseServer& server) {
    clients_.at(number)->socket.connect(server.server_address(), 10s);
    return *clients_.at(number);
  }
  void read_slowly(std::size_t number) {
    clients_.at(number)->socket.setsockopt(net::SocketOption::receive_buffer, 4096);
  }
  // Returns whether the server has given up the connection. A lingering socket discards the bytes.
  // Otherwise the first send is answered with a reset, and the second one fails.
  bool is_given_up(std::size_t number) {
    try {
      for (int i = 0; i < 2; ++i) clients_.at(number)->send("still there?");
      return false;
    } catch (const std::system_error&) {
      return true;
    }
  }

 private:
  std::vector<std::unique_ptr<Client>> clients_;
};

// Leaves this many free descriptors beside those that are open. Fills the gaps between the open
// ones, so that each one that is closed can be opened again.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t left) {
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const std::set<int> open = open_descriptors();
    const int highest = *std::prev(open.lower_bound(far));
    net::Descriptor next(::dup(0));
    for (; next.get() < highest; next = net::Descriptor(::dup(0))) gaps_.push_back(std::move(next));
    const rlimit few{static_cast<rlim_t>(next.get()) + left, before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  void open_gaps() { gaps_.clear(); }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
  std::vector<net::Descriptor> gaps_;
};

std::size_t free_descriptors() {
  std::vector<net::Descriptor> opened;
  for (;;) {
    net::Descriptor one(::dup(0));
    if (!one) return opened.size();
    opened.push_back(std::move(one));
  }
}

// Waits until the kernel's coarse clock, by which the server measures time, has advanced.
void wait_for_a_tick() {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return std::pair(time.tv_sec, time.tv_nsec);
  };
  for (const auto before = now(); now() == before;) std::this_thread::yield();
}

net::ServerOptions long_lingering() {
  auto options = quick();
  options.linger = 1h;
  options.max_connections = 100;
  return options;
}

std::uint64_t accept_errors(const net::BaseServer& server) { return server.stats().accept_errors; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_lingering, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_oldest_of_all_servers_make_way_for_new_connections, Policy,
                              Policies) {
  constexpr std::size_t each = 20;
  constexpr std::size_t left = 30;
  Clients clients(2 * each);
  net::TcpServer<Goodbye, Policy> one{loopback(), long_lingering()};
  net::TcpServer<Goodbye, Policy> other{loopback(), long_lingering()};
  Running running_one(one);
  Running running_other(other);
  const FewDescriptors few(left);
  const auto ask = [&](std::size_t number, auto& server) {
    Client& client = clients.connect(number, server);
    BOOST_TEST(client.ask("hello") == "hello");
    BOOST_TEST(client.sees_end());
    // A worker or a child counts the connection a moment after its end.
    BOOST_TEST(soon([&] { return server.stats().ended() == server.stats().accepted; }));
  };
  for (std::size_t i = 0; i < each; ++i) ask(i, one);
  BOOST_TEST(one.stats().lingering == each);
  for (std::size_t i = each; i < 2 * each; ++i) ask(i, other);
  BOOST_TEST(other.stats().lingering == each);
  BOOST_TEST(accept_errors(one) == 0U);
  BOOST_TEST(accept_errors(other) == 0U);
  const std::size_t kept = one.stats().lingering;
  BOOST_TEST(kept < each);
  for (std::size_t i = 0; i < 2 * each; ++i) {
    BOOST_TEST_CONTEXT(i) {
      if (i < each - kept) {
        BOOST_TEST(soon([&] { return clients.is_given_up(i); }));
      } else {
        BOOST_TEST(!clients.is_given_up(i));
      }
    }
  }
}

// Lingering sockets are closed before the system refuses a descriptor to the application.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(they_leave_descriptors_for_the_application, Policy, Policies) {
  constexpr std::size_t many = 100;
  Clients clients(many);
  FewDescriptors few(60);
  few.open_gaps();
  net::TcpServer<Goodbye, Policy> one{loopback(), long_lingering()};
  net::TcpServer<Goodbye, Policy> other{loopback(), long_lingering()};
  Running running_one(one);
  Running running_other(other);
  for (std::size_t i = 0; i < many; ++i) {
    auto& server = i % 2 == 0 ? one : other;
    BOOST_TEST(clients.connect(i, server).ask("hello") == "hello");
    BOOST_TEST(soon([&] { return server.stats().ended() == server.stats().accepted; }));
    BOOST_TEST(free_descriptors() >= 5U);
  }
  BOOST_TEST(one.stats().lingering + other.stats().lingering > 10U);
  BOOST_TEST(accept_errors(one) + accept_errors(other) == 0U);
}

// The connections that a hook refused linger like all others.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(those_that_were_refused_make_way_as_well, Policy, Policies) {
  constexpr std::size_t many = 60;
  Clients clients(many + 1);
  RefusesAll refusing;
  net::TcpServer<Goodbye, Policy> refuses{loopback(), long_lingering(), refusing};
  net::TcpServer<Goodbye, Policy> serves{loopback(), long_lingering()};
  Running running_one(refuses);
  Running running_other(serves);
  const FewDescriptors few(30);
  for (std::size_t i = 0; i < many; ++i) {
    BOOST_TEST(clients.connect(i, refuses).sees_end());
    BOOST_TEST(soon([&] { return refuses.stats().refused == i + 1; }));
  }
  BOOST_TEST(refuses.stats().lingering > 20U);
  BOOST_TEST(clients.connect(many, serves).ask("hello") == "hello");
  BOOST_TEST(accept_errors(refuses) + accept_errors(serves) == 0U);
}

// A connection whose input the server has ended waits in another list, until its client has
// received everything.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(one_that_still_sends_makes_way_in_its_turn, Policy, Threads) {
  struct Talk : net::StreamRequestHandler {
    void handle() {
      const std::string text(rfile.read_some());
      wfile.write(text == "much" ? pattern(100'000) : text);
      if (text == "much") rfile.read_some();  // until it is evicted
    }
  };
  Clients clients(4);
  auto options = long_lingering();
  options.max_connections = 1;
  options.overload = net::Overload::evict_idle;
  net::TcpServer<Talk, Policy> talks{loopback(), options};
  net::TcpServer<Goodbye, Policy> serves{loopback(), long_lingering()};
  Running running_one(talks);
  Running running_other(serves);
  clients.read_slowly(0);
  clients.connect(0, talks).send("much");
  Client& second = clients.connect(1, talks);
  BOOST_TEST(soon([&] { return talks.stats().lingering == 1; }));
  wait_for_a_tick();
  BOOST_TEST(second.ask("hello") == "hello");
  BOOST_TEST(soon([&] { return talks.stats().lingering == 2; }));
  BOOST_TEST(talks.stats().shed_evicted == 1U);

  // One descriptor, for the connection. The next accept(2) needs one too, even if no client waits.
  const FewDescriptors few(1);
  BOOST_TEST(clients.connect(2, serves).ask("hello") == "hello");
  BOOST_TEST(soon([&] { return talks.stats().lingering == 1; }));
  BOOST_TEST(!clients.is_given_up(1));
  BOOST_TEST(clients.connect(3, serves).ask("hello") == "hello");
  BOOST_TEST(soon([&] { return talks.stats().lingering == 0; }));
  BOOST_TEST(soon([&] { return clients.is_given_up(1); }));
  BOOST_TEST(accept_errors(serves) == 0U);
}

// A conversation occupies the thread that would close this server's lingering sockets.
BOOST_AUTO_TEST_CASE(a_server_that_is_held_up_gives_up_its_own_nevertheless, *timeout(60)) {
  struct Held : net::StreamRequestHandler {
    explicit Held(const Gate& open) : gate(open) {}
    net::Next handle() {
      const std::string text(rfile.read_some());
      if (text == "hold") gate.wait();
      wfile.write(text);
      return net::Next::close;
    }
    const Gate& gate;
  };
  constexpr std::size_t many = 20;
  Gate gate;
  Clients clients(2 * many + 1);
  net::TcpServer<Held, net::Inline> held{loopback(), long_lingering(),
                                         [&gate] { return Held(gate); }};
  net::TcpServer<Goodbye, net::ThreadPool> other{loopback(), long_lingering()};
  Running running_one(held);
  Running running_other(other);
  const FewDescriptors few(many + 5);
  for (std::size_t i = 0; i < many; ++i) {
    BOOST_TEST(clients.connect(i, held).ask("hello") == "hello");
  }
  Client& holding = clients.connect(many, held);
  holding.send("hold");
  BOOST_TEST(soon([&] { return held.stats().active == 1; }));
  for (std::size_t i = many + 1; i <= 2 * many; ++i) {
    BOOST_TEST(clients.connect(i, other).ask("hello") == "hello");
  }
  BOOST_TEST(accept_errors(other) == 0U);
  gate.open();
  BOOST_TEST(holding.receive(4) == "hold");
}

BOOST_AUTO_TEST_SUITE_END()
