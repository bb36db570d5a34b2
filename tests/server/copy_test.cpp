// Copies of a server object in other processes: what ends in them, and what such a process may
// still start.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "support/forked.hpp"
#include "support/server_test.hpp"

extern "C" {
// NOLINTBEGIN(*-reserved-identifier): the sanitizer's name
// In a child that calls exit, objects that only other threads' stacks point to look lost.
int __lsan_is_turned_off();
int __lsan_is_turned_off() { return 1; }
// NOLINTEND(*-reserved-identifier)
}

namespace {

using support::Forked;

// Servers as programs have them: with static storage, destroyed by exit().
template <class S>
std::unique_ptr<S>& global() {
  static std::unique_ptr<S> server;
  return server;
}
template <class S>
class Global {
 public:
  template <class... Args>
  explicit Global(Args&&... args) {
    std::fflush(nullptr);  // else exit in a child would write Boost.Test's buffered output again
    global<S>() = std::make_unique<S>(loopback(), quick(), std::forward<Args>(args)...);
  }
  Global(const Global&) = delete;
  Global& operator=(const Global&) = delete;
  ~Global() { global<S>().reset(); }
  S& operator*() const { return *global<S>(); }
};

struct Exiting : net::StreamRequestHandler {
  void handle() {
    rfile.read_some();
    wfile.write("bye");
    std::exit(0);
  }
};

// Runs a function in a child, with a server that does not belong to the child.
struct Meddling : net::StreamRequestHandler {
  explicit Meddling(std::function<std::string()> does) : meddle(std::move(does)) {}
  void handle() {
    rfile.read_some();
    wfile.write(meddle());
  }
  std::function<std::string()> meddle;
};

std::string code_of(const std::function<void()>& call) {
  try {
    call();
    return "nothing";
  } catch (const std::system_error& error) {
    return error.code() == std::errc::bad_file_descriptor ? "closed" : error.what();
  }
}

struct StopOrEcho : net::StreamRequestHandler {
  net::Next handle() {
    const std::string text(rfile.read_some());
    if (text == "stop") context().shutdown();
    wfile.write(text);
    return net::Next::keep;
  }
};

// A Unix server in two processes, to try which of them may do what, and whether the file is there
// afterwards.
class SharedFile {
 public:
  using Server = net::UnixStreamServer<StopOrEcho, net::ThreadPool>;
  SharedFile() : server(std::make_unique<Server>(address, quick(), hooks)) {}

  bool is_there() const {
    struct stat status{};
    return ::lstat(address.path().c_str(), &status) == 0;
  }
  std::string ask(const std::string& text) const { return Client{address}.ask(text); }
  // Called in a child.
  int serve_until(const Gate& stop) const {
    std::thread stopping([&] {
      stop.wait();
      server->shutdown();
    });
    server->serve_forever(10ms);
    stopping.join();
    server->server_close(5s);
    return 0;
  }

  Gate child_serves;
  const ScratchDirectory scratch;
  const net::Address address = net::Address::unix_path(scratch.path("s"));

 private:
  struct Hooks : net::ServerHooks {
    explicit Hooks(SharedFile& owner) : shared(owner) {}
    void service_actions() override {
      if (::getpid() != maker) shared.child_serves.open();
    }
    SharedFile& shared;
    const pid_t maker = ::getpid();
  } hooks{*this};

 public:
  std::unique_ptr<Server> server;
};

int serve_and_close(net::BaseServer& server) {
  server.serve_forever();
  server.server_close(5s);
  return 0;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_copy, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(exit_in_a_forked_helper_ends_no_server, P, Policies) {
  const Global<net::TcpServer<Echo, P>> server;
  Running running{*server};
  Client client{*server};
  BOOST_TEST(client.ask("hello") == "hello");
  Forked helper([]() -> int { std::exit(7); });
  BOOST_TEST(helper.status() == 7);
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(Client{*server}.ask("hello") == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(exit_in_a_handler_ends_no_server, P, Policies) {
  for (const bool forking_first : {true, false}) {
    using Other = Global<net::TcpServer<Echo, P>>;
    using Server = Global<net::TcpServer<Exiting, net::ForkPerRequest>>;
    auto first = forking_first ? nullptr : std::make_unique<Other>();
    const Server server;
    auto second = forking_first ? std::make_unique<Other>() : nullptr;
    auto& other = **(forking_first ? second : first);
    Running running{*server};
    Running other_running{other};
    Client elsewhere{other};
    BOOST_TEST(elsewhere.ask("hello") == "hello");
    for (int i = 0; i < 2; ++i) {
      Client client{*server};
      client.send("x");
      BOOST_TEST(client.receive_all() == "bye");
    }
    BOOST_TEST(elsewhere.ask("hello") == "hello");
    BOOST_TEST(Client{other}.ask("hello") == "hello");
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_child_for_a_request_has_no_other_server, P, Policies) {
  auto other = std::make_unique<net::TcpServer<Echo, P>>(loopback(), quick());
  std::unique_ptr<net::BaseServer> moved;
  const std::function<std::string()> meddle = [&] {
    std::string said = code_of([&] { other->serve_forever(); });
    said += " " + code_of([&] { other->handle_request(); });
    said += " " + std::to_string(other->fileno());
    other->shutdown();
    other->stats();
    other->restart();
    other->server_close(1s);
    // Descriptors opened from now on may have numbers that the copy had.
    auto [one, two] = net::socket_pair();
    other.reset();
    one.sendall(net::bytes("x"));
    // The child can have a server of its own.
    net::TcpServer<StopOrEcho, P> own{loopback(), quick()};
    std::thread asking([&] { said += " " + Client{own}.ask("stop"); });
    own.serve_forever();
    asking.join();
    return said;
  };
  net::TcpServer<Meddling, net::ForkPerRequest> server{loopback(), quick(),
                                                       [&] { return Meddling(meddle); }};
  Running running{server};
  Running other_running{*other};
  Client elsewhere{*other};
  BOOST_TEST(elsewhere.ask("hello") == "hello");
  Client client{server};
  client.send("x");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "closed closed -1 stop");
  BOOST_TEST(elsewhere.ask("hello") == "hello");
  BOOST_TEST(Client{*other}.ask("hello") == "hello");
}

BOOST_AUTO_TEST_CASE(a_child_for_a_request_can_stop_its_own_server, *timeout(20)) {
  net::BaseServer* own = nullptr;
  const std::function<std::string()> stop = [&own] {
    own->shutdown();
    return "asked";
  };
  net::TcpServer<Meddling, net::ForkPerRequest> server{loopback(), quick(),
                                                       [&] { return Meddling(stop); }};
  own = &server;
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("asked") == "asked");
  running.join();
}

// --- the file of a Unix server ------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_file_is_left_to_a_child_that_will_serve, *timeout(20)) {
  SharedFile shared;
  Gate left;
  Forked child([&] {
    left.wait();
    return serve_and_close(*shared.server);
  });
  shared.server.reset();
  BOOST_TEST(shared.is_there());
  left.open();
  BOOST_TEST(shared.ask("stop") == "stop");
  BOOST_TEST(child.status() == 0);
  BOOST_TEST(!shared.is_there());
}

BOOST_AUTO_TEST_CASE(a_file_goes_with_the_server_whatever_helpers_hold, *timeout(20)) {
  SharedFile shared;
  Gate over;
  Forked before([&] { return over.wait() ? 0 : 1; });
  {
    Running running{*shared.server};
    BOOST_TEST(shared.ask("hello") == "hello");
    Forked during([&] { return over.wait() ? 0 : 1; });
    running.stop();
    BOOST_TEST(!shared.is_there());
    over.open();
    BOOST_TEST(during.status() == 0);
  }
  BOOST_TEST(before.status() == 0);
}

BOOST_AUTO_TEST_CASE(a_file_goes_with_the_last_process_that_serves, *timeout(20)) {
  for (const bool child_first : {true, false}) {
    const SharedFile shared;
    Gate stop;
    Running running{*shared.server};
    BOOST_TEST(shared.ask("hello") == "hello");
    Forked child([&] { return shared.serve_until(stop); });
    BOOST_TEST(shared.child_serves.wait());
    if (child_first) {
      stop.open();
      BOOST_TEST(child.status() == 0);
    } else {
      running.stop();
    }
    BOOST_TEST(shared.is_there());
    BOOST_TEST(shared.ask("hello") == "hello");
    if (child_first) {
      running.stop();
    } else {
      stop.open();
      BOOST_TEST(child.status() == 0);
    }
    BOOST_TEST(!shared.is_there());
  }
}

BOOST_AUTO_TEST_CASE(a_file_stays_while_its_maker_has_children_serve_one_after_another,
                     *timeout(20)) {
  SharedFile shared;
  for (int i = 0; i < 2; ++i) {
    Gate stop;
    Forked child([&] { return shared.serve_until(stop); });
    BOOST_TEST(shared.ask("hello") == "hello");
    stop.open();
    BOOST_TEST(child.status() == 0);
    BOOST_TEST(shared.is_there());
  }
  shared.server.reset();
  BOOST_TEST(!shared.is_there());
}

BOOST_AUTO_TEST_SUITE_END()
