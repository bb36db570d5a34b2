// Each example, started as a user starts it, against a client, and stopped with SIGTERM.

#include <array>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/process.hpp"

namespace {

using boost::unit_test::timeout;
using support::Client;
using support::Process;

// The port that a line "listening on 127.0.0.1:PORT" tells.
std::uint16_t port_of(const std::string& line) {
  BOOST_TEST(line.starts_with("listening on "), line);
  return static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
}

// An example that runs; at its end, it must end well.
class Example {
 public:
  explicit Example(const std::string& name, const std::string& port = "0")
      : process_({EXAMPLES "/" + name, port}), port_(port_of(process_.read_line())) {}
  Example(const Example&) = delete;
  Example& operator=(const Example&) = delete;
  ~Example() {
    process_.signal(SIGTERM);
    BOOST_TEST(process_.wait() == 0);
    BOOST_TEST(process_.rest_of_stderr().empty());
  }

  std::uint16_t port() const noexcept { return port_; }
  Client client(const std::string& from = "127.0.0.1") const { return {"127.0.0.1", port_, from}; }
  std::string read_line() { return process_.read_line(); }

 private:
  Process process_;
  std::uint16_t port_;
};

std::string ask(const Client& client, const std::string& text) {
  client.send(text);
  return client.receive_line();
}

}  // namespace

BOOST_AUTO_TEST_CASE(echo_echoes, *timeout(20)) {
  const Example example("echo");
  BOOST_TEST(ask(example.client(), "hello\n") == "hello\n");
}

BOOST_AUTO_TEST_CASE(an_example_takes_the_port_that_it_is_given, *timeout(20)) {
  std::uint16_t port = 0;
  {
    const Example example("echo");
    port = example.port();
  }
  const Example example("echo", std::to_string(port));
  BOOST_TEST(example.port() == port);
  BOOST_TEST(ask(example.client(), "hello\n") == "hello\n");
}

BOOST_AUTO_TEST_CASE(upper_case_lines_gathers_lines, *timeout(20)) {
  const Example example("upper_case_lines");
  const Client client = example.client();
  client.send("one\ntw");
  BOOST_TEST(client.receive_line() == "ONE\n");
  BOOST_TEST(ask(client, "o\n") == "TWO\n");
  client.send("three");
  client.end_output();
  BOOST_TEST(client.receive_to_end() == "THREE");
}

BOOST_AUTO_TEST_CASE(state_by_factory_counts_its_clients, *timeout(20)) {
  const Example example("state_by_factory");
  BOOST_TEST(example.client().receive_to_end() == "you are visitor 1\n");
  BOOST_TEST(example.client().receive_to_end() == "you are visitor 2\n");
}

BOOST_AUTO_TEST_CASE(access_control_refuses_strangers, *timeout(20)) {
  Example example("access_control");
  BOOST_TEST(example.client("127.0.0.2").receive_to_end().empty());
  BOOST_TEST(example.read_line() == "refused 127.0.0.2");
  BOOST_TEST(ask(example.client(), "hello\n") == "hello\n");
}

BOOST_AUTO_TEST_CASE(fork_server_serves_each_connection_in_a_process, *timeout(20)) {
  Example example("fork_server");
  const Client one = example.client();
  const Client other = example.client();
  const std::string first = ask(one, "hello\n");
  BOOST_TEST(first.ends_with(", request 1\n"));
  const std::string process = first.substr(0, first.find(','));
  BOOST_TEST(ask(one, "hello\n") == process + ", request 2\n");
  BOOST_TEST(!ask(other, "hello\n").starts_with(process + ","));
  other.send("crash\n");
  BOOST_TEST(other.receive_to_end().empty());
  BOOST_TEST(ask(one, "hello\n") == process + ", request 3\n");
}

BOOST_AUTO_TEST_CASE(custom_policy_serves_several_clients, *timeout(20)) {
  const Example example("custom_policy");
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(example.client());
  for (const std::string text : {"once\n", "twice\n"}) {
    const std::vector<std::string> messages(clients.size(), text);
    BOOST_TEST(support::echo_all(clients, messages) == clients.size());
  }
}

BOOST_AUTO_TEST_CASE(conversation_speaks_first, *timeout(20)) {
  const Example example("conversation");
  const Client client = example.client();
  BOOST_TEST(client.receive_line() == "numbers, please; an empty line ends\n");
  BOOST_TEST(ask(client, "1\n40\n1\n\n") == "sum 42\n");
  BOOST_TEST(client.receive_to_end().empty());
}

BOOST_AUTO_TEST_CASE(shared_pool_serves_on_both_ports, *timeout(20)) {
  Example who("shared_pool");
  const Client echo("127.0.0.1", port_of(who.read_line()));
  BOOST_TEST(ask(echo, "hello\n") == "hello\n");
  BOOST_TEST(who.client().receive_line().starts_with("you are 127.0.0.1:"));
}
