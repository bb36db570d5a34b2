// Exceptions of handlers: they end their connection, and nothing else.

#include <unistd.h>

#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

enum class Where { nowhere, make, setup, handle, finish };

// What handlers and hooks did, in whichever process.
struct Record {
  std::atomic<bool> armed{true};  // only the first handler throws
  std::atomic<int> setups{0};
  std::atomic<int> finishes{0};
  std::array<std::atomic<int>, 16> errors{};  // indexed by phase
  std::atomic<int> error_process{0};
  std::atomic<bool> error_has_address{false};
  std::atomic<bool> error_has_text{false};

  int of(net::Phase phase) { return errors.at(static_cast<std::size_t>(phase)); }
};

template <bool Conversation>
struct Thrower : net::StreamRequestHandler {
  Thrower(Record& what_happened, Where throwing, bool an_int)
      : record(what_happened), where(throwing), integer(an_int) {
    here(Where::make);
  }
  void setup() override {
    ++record.setups;
    here(Where::setup);
  }
  std::conditional_t<Conversation, void, net::Next> handle() {
    here(Where::handle);
    wfile.write(rfile.read_some());
    if constexpr (!Conversation) return net::Next::close;
  }
  void finish() override {
    ++record.finishes;
    here(Where::finish);
  }
  void here(Where place) const {
    if (place != where || !record.armed.exchange(false)) return;
    if (integer) throw 42;
    throw std::runtime_error("thrown by a test");
  }
  Record& record;
  Where where;
  bool integer;
};

class Watching : public net::ServerHooks {
 public:
  explicit Watching(Record& record) : record_(record) {}
  void handle_error(const net::RequestError& error) override {
    ++record_.errors.at(static_cast<std::size_t>(error.phase));
    record_.error_process = ::getpid();
    record_.error_has_address = error.client_address.port() != 0;
    const std::string what = error.what();
    record_.error_has_text = what == "thrown by a test" || what == "unknown exception";
  }

 private:
  Record& record_;
};

template <class Form>
void check(Where where, net::Phase phase, bool integer) {
  BOOST_TEST_CONTEXT("thrown in " << net::name(phase) << (integer ? ", an int" : "")) {
    using Handler = typename Form::Handler;
    using Policy = typename Form::Policy;
    const Shared<Record> record;
    Watching hooks{*record};
    net::TcpServer<Handler, Policy> server{loopback(), quick(), hooks,
                                           [&] { return Handler(*record, where, integer); }};
    Running running{server};
    Client unlucky{server};
    unlucky.send("hello");
    if (where == Where::finish) {
      BOOST_TEST(unlucky.receive_all() == "hello");
    } else {
      BOOST_TEST(unlucky.sees_end());
    }
    unlucky.end_sending();
    Client fresh{server};
    BOOST_TEST(fresh.ask("still here") == "still here");
    BOOST_TEST(fresh.sees_end());
    fresh.end_sending();
    running.stop();
    BOOST_TEST(record->of(phase) == 1);
    BOOST_TEST(record->error_has_address.load());
    BOOST_TEST(record->error_has_text.load());
    constexpr bool forks = std::is_same_v<Policy, net::ForkPerRequest>;
    BOOST_TEST((record->error_process != ::getpid()) == forks);
    BOOST_TEST(record->setups == (where == Where::make ? 1 : 2));
    BOOST_TEST(record->finishes == (where == Where::make || where == Where::setup ? 1 : 2));
    const net::Stats stats = server.stats();
    BOOST_TEST(stats.failed == 1U);
    BOOST_TEST(stats.served == 1U);
    BOOST_TEST(stats.handler_errors == 1U);
    BOOST_TEST(stats.hook_errors == 0U);
  }
}

using Forms =
    std::tuple<With<Thrower<false>, net::ThreadPool>, With<Thrower<false>, net::ThreadPerRequest>,
               With<Thrower<false>, net::ForkPerRequest>, With<Thrower<false>, net::Inline>,
               With<Thrower<true>, net::ThreadPool>, With<Thrower<true>, net::ThreadPerRequest>,
               With<Thrower<true>, net::ForkPerRequest>, With<Thrower<true>, net::Inline>>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_throwing, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_throwing_factory_ends_its_connection_alone, Form, Forms) {
  check<Form>(Where::make, net::Phase::make, false);
  check<Form>(Where::make, net::Phase::make, true);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(after_a_throwing_setup_there_is_no_finish, Form, Forms) {
  check<Form>(Where::setup, net::Phase::setup, false);
  check<Form>(Where::setup, net::Phase::setup, true);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(after_a_throwing_handle_there_is_a_finish, Form, Forms) {
  check<Form>(Where::handle, net::Phase::handle, false);
  check<Form>(Where::handle, net::Phase::handle, true);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_throwing_finish_does_not_take_the_answer_back, Form, Forms) {
  check<Form>(Where::finish, net::Phase::finish, false);
  check<Form>(Where::finish, net::Phase::finish, true);
}

BOOST_AUTO_TEST_CASE(the_default_hooks_write_a_line_to_stderr, *timeout(20)) {
  const Shared<Record> record;
  net::TcpServer<Thrower<false>> server{
      loopback(), quick(), [&] { return Thrower<false>(*record, Where::handle, false); }};
  Running running{server};
  Client unlucky{server};
  const std::string address = unlucky.socket.getsockname().to_string();
  unlucky.send("hello");
  BOOST_TEST(unlucky.sees_end());
  running.stop();
  BOOST_TEST(stderr_so_far() ==
             "netserve: request from " + address + " failed in handle: thrown by a test\n");
}

// A client may influence the text of an exception, and the application's own `report` may write
// that to a terminal.
BOOST_AUTO_TEST_CASE(a_client_cannot_forge_lines_of_a_log, *timeout(20)) {
  struct Quoting : net::StreamRequestHandler {
    net::Next handle() { throw std::runtime_error(std::string(rfile.read_some())); }
  };
  struct Log : net::ServerHooks {
    void report(const net::Event& event) override { text = event.text; }
    std::string text;
  } log;
  net::TcpServer<Quoting> server{loopback(), quick(), log};
  Running running{server};
  Client client{server};
  client.send("a\nb\r\x1b[2J\x7f, \xc2\x9b, \xc3\xa9\\n");
  BOOST_TEST(client.sees_end());
  running.stop();
  BOOST_TEST(log.text.ends_with("in handle: a\\nb\\x0d\\x1b[2J\\x7f, \xc2\\x9b, \xc3\xa9\\n"),
             log.text);
}

BOOST_AUTO_TEST_SUITE_END()
