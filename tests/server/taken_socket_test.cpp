// Handlers that close their socket, move it elsewhere, or put another one in its place.

#include <sys/socket.h>

#include <fstream>
#include <mutex>
#include <string>

#include "support/server_test.hpp"

namespace {

// What a handler does with its socket.
enum class Way : std::uint8_t {
  closes,
  detaches_and_closes,
  moves_and_closes,
  swaps_with_none,
  duplicates_and_closes,
  closes_elsewhere,
  keeps_moved,
  keeps_detached,
  keeps_duplicate,
  replaces,
};
constexpr int ways = static_cast<int>(Way::replaces) + 1;

// When the handler does it.
enum class When : std::uint8_t { setup, handle, handle_and_throws, finish, destructor };
constexpr int whens = static_cast<int>(When::destructor) + 1;

struct Plan {
  Way way{};
  When when{};
  std::mutex mutex;
  std::vector<net::Socket> kept;
  std::vector<std::thread> threads;
  std::atomic<int> handled{0};

  void take_from(net::Socket& socket, net::RequestContext& context) {
    const std::lock_guard lock(mutex);
    switch (way) {
      case Way::closes: socket.close(); break;
      case Way::detaches_and_closes: static_cast<void>(context.detach()); break;
      case Way::moves_and_closes: static_cast<void>(net::Socket(std::move(socket))); break;
      case Way::swaps_with_none: {
        net::Socket none;
        std::swap(socket, none);
        break;
      }
      case Way::duplicates_and_closes: {
        const net::Socket copy = socket.dup();
        socket.close();
        break;
      }
      case Way::closes_elsewhere:
        threads.emplace_back([moved = std::make_shared<net::Socket>(std::move(socket))] {
          std::this_thread::sleep_for(2ms);
          moved->close();
        });
        break;
      case Way::keeps_moved: kept.push_back(std::move(socket)); break;
      case Way::keeps_detached: kept.push_back(context.detach()); break;
      case Way::keeps_duplicate:
        kept.push_back(socket.dup());
        socket.close();
        break;
      case Way::replaces: {
        auto [other, peer] = net::socket_pair();
        kept.push_back(std::move(peer));
        socket = std::move(other);
        break;
      }
    }
  }

  void clear() {
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    kept.clear();
    handled = 0;
  }
};

struct Taking : net::StreamRequestHandler {
  explicit Taking(Plan& shared) : plan(shared) {}
  ~Taking() override { take_if(When::destructor); }
  void setup() override { take_if(When::setup); }
  void finish() override { take_if(When::finish); }
  net::Next handle() {
    rfile.read_some();
    wfile.write("answer");
    ++plan.handled;
    take_if(When::handle);
    if (plan.when == When::handle_and_throws) {
      take_if(When::handle_and_throws);
      throw std::runtime_error("taken");
    }
    return plan.when == When::handle ? net::Next::keep : net::Next::close;
  }
  void take_if(When when) {
    if (plan.when == when) plan.take_from(request(), context());
  }
  Plan& plan;
};

struct TakingConversation : Taking {
  using Taking::Taking;
  void handle() { static_cast<void>(Taking::handle()); }
};

template <class P>
using Forms = std::tuple<With<Taking, P>, With<TakingConversation, P>>;
using AllForms = decltype(std::tuple_cat(Forms<net::ThreadPool>(), Forms<net::ThreadPerRequest>(),
                                         Forms<net::Inline>()));
using ForkForms = Forms<net::ForkPerRequest>;

// Returns how many descriptors the epoll instances of this process watch.
int watched() {
  int count = 0;
  for (const int descriptor : open_descriptors()) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(descriptor));
    for (std::string word; info >> word;) count += word == "tfd:" ? 1 : 0;
  }
  return count;
}

template <class Form>
void try_all(Plan& plan, net::ServerHooks& hooks) {
  for (int way = 0; way < ways; ++way) {
    for (int when = 0; when < whens; ++when) {
      plan.way = static_cast<Way>(way);
      plan.when = static_cast<When>(when);
      BOOST_TEST_CONTEXT("way " << way << ", when " << when) {
        using Handler = typename Form::Handler;
        typename Form::Server server{loopback(), quick(), hooks, [&] { return Handler(plan); }};
        {
          Running running{server};
          std::vector<std::unique_ptr<Client>> clients;
          const int before = watched();
          for (int i = 0; i < 3; ++i) {
            clients.push_back(std::make_unique<Client>(server));
            clients.back()->send("x");
          }
          BOOST_TEST(soon([&] { return server.stats().ended() == 3; }));
          const bool throws = plan.when == When::handle_and_throws;
          BOOST_TEST(server.stats().served == (throws ? 0U : 3U));
          BOOST_TEST(server.stats().failed == (throws ? 3U : 0U));
          BOOST_TEST(server.stats().handler_errors == (throws ? 3U : 0U));
          // No epoll instance may watch a descriptor that no longer belongs to the server.
          BOOST_TEST(soon(
              [&] { return watched() <= before + static_cast<int>(server.stats().lingering); }));
          for (const auto& client : clients) {
            // The connection may have been reset already.
            static_cast<void>(
                ::send(client->socket.fileno(), "more", 4, MSG_NOSIGNAL | MSG_DONTWAIT));
            if (plan.when != When::setup) BOOST_TEST(client->receive(6) == "answer");
          }
          // The clients' connections end, unless the handlers kept the server's ends of them.
          if (plan.kept.empty() || plan.way == Way::replaces) {
            for (const auto& client : clients) BOOST_TEST(client->is_closed());
          }
          if (plan.way == Way::replaces) {
            for (net::Socket& peer : plan.kept) BOOST_TEST(Client(std::move(peer)).sees_end());
          } else if (plan.way != Way::keeps_duplicate) {
            for (net::Socket& own : plan.kept) {
              BOOST_TEST(!own.gettimeout().has_value());
              BOOST_TEST(own.deadline().is_never());
            }
          }
          running.stop();
        }
        // The new owner can use the connection after the server has ended.
        if (plan.way != Way::replaces) {
          for (net::Socket& own : plan.kept) {
            own.sendall(net::bytes("later"), 5s);
            std::array<std::byte, 4> text{};
            BOOST_TEST(own.wait_to_receive(5s));
            own.recv(text);
          }
        }
        plan.clear();
      }
    }
  }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_taken_socket, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_may_do_anything_with_its_socket, Form, AllForms) {
  Plan plan;
  QuietHooks hooks;
  try_all<Form>(plan, hooks);
}

// A socket that a child keeps ends with the child, so each of its clients sees the end.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_child_may_do_anything_with_its_socket, Form, ForkForms) {
  using Handler = typename Form::Handler;
  QuietHooks hooks;
  for (int way = 0; way < ways; ++way) {
    for (const When when : {When::handle, When::finish}) {
      Plan plan;
      plan.way = static_cast<Way>(way);
      plan.when = when;
      // A thread of a child ends with the child.
      if (plan.way == Way::closes_elsewhere) continue;
      BOOST_TEST_CONTEXT("way " << way << ", when " << static_cast<int>(when)) {
        typename Form::Server server{loopback(), quick(), hooks, [&] { return Handler(plan); }};
        Running running{server};
        Client client{server};
        client.send("x");
        BOOST_TEST(client.receive_all() == "answer");
        BOOST_TEST(soon([&] { return server.stats().served == 1; }));
        BOOST_TEST(server.stats().handler_errors == 0U);
      }
    }
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_written_is_sent_before_the_socket_goes, Policy, Policies) {
  struct Closing : net::StreamRequestHandler {
    net::Next handle() {
      rfile.read_some();
      wfile.write(pattern(200'000));
      request().close();
      return net::Next::keep;
    }
  };
  SmallBuffers hooks;
  net::TcpServer<Closing, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("x");
  BOOST_TEST((slow.receive_all() == pattern(200'000)));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_drain_meets_handlers_that_give_their_sockets_away, Policy,
                              ThreadPolicies) {
  struct Swapping : net::StreamRequestHandler {
    net::Next handle() {
      rfile.read_some();
      // A thread that cuts the connection at this moment must not hit another owner's descriptor.
      net::Socket own = std::move(request());
      own.close();
      auto [first, second] = net::socket_pair();
      second.sendall(net::bytes("intact"));
      std::this_thread::sleep_for(1ms);
      std::array<std::byte, 6> text{};
      if (first.recv(text) != 6) std::terminate();
      return net::Next::keep;
    }
  };
  for (int turn = 0; turn < 5; ++turn) {
    QuietHooks hooks;
    net::TcpServer<Swapping, Policy> server{loopback(), quick(), hooks, at_once<Policy>(4)};
    Running running{server};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 40; ++i) {
      clients.push_back(std::make_unique<Client>(server));
      clients.back()->send("x");
    }
    BOOST_TEST(soon([&] { return server.stats().requests > 0; }));
    running.stop(5ms);
  }
}

BOOST_AUTO_TEST_CASE(a_handler_of_datagrams_gets_a_duplicate, *timeout(20)) {
  struct Closing : net::DatagramRequestHandler {
    void handle() {
      const int servers = request().fileno();
      if (packet().size() == 1) request().close();
      if (packet().size() == 2) {
        const net::Socket taken = std::move(request());
        if (taken.fileno() == servers) return;
      }
      if (packet().size() == 3) request() = net::socket_pair().first;
      reply(packet());
    }
  };
  net::UdpServer<Closing> server{loopback()};
  Running running{server};
  DatagramClient client{server};
  for (const char* const packet : {"1", "22", "333", "4444"}) {
    BOOST_TEST(client.ask(packet) == packet);
  }
}

BOOST_AUTO_TEST_SUITE_END()
