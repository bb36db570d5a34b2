// Each example over TCP, started as a user starts it, against a client, and stopped with SIGTERM.

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/example.hpp"
#include "support/program_test.hpp"

namespace {

using support::address_in;
using support::ask;
using support::Client;
using support::Example;
using support::port_of;
using support::Process;

std::vector<std::string> policies() {
  std::vector<std::string> names{"first_policy", "custom_policy", "priority_pool"};
#ifdef WITH_ASIO
  names.emplace_back("asio_policy");
#endif
  return names;
}

void serves_several_clients(const std::string& name) {
  const Example example(name);
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(example.client());
  for (const std::string text : {"once\n", "twice\n"}) {
    const std::vector<std::string> messages(clients.size(), text);
    BOOST_TEST(support::echo_all(clients, messages) == clients.size());
  }
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

BOOST_AUTO_TEST_CASE(file_server_sends_files_and_numbers, *timeout(20)) {
  const Example example("file_server");
  const Client client = example.client();
  BOOST_TEST(ask(client, "/no/such/file\n") == "no such file\n");
  client.send("/proc/self/exe\n");
  const std::size_t size = std::stoul(client.receive_line());
  BOOST_TEST(client.receive(size).substr(1, 3) == "ELF");
  client.send("count\n\n");
  const std::string numbers = client.receive_to_end();
  BOOST_TEST(numbers.ends_with("\n999999\n1000000\n"));
  BOOST_TEST(std::ranges::count(numbers, '\n') == 1'000'000);
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

BOOST_AUTO_TEST_CASE(access_log_has_a_line_for_each_request, *timeout(20)) {
  Example example("access_log");
  const Client client = example.client();
  BOOST_TEST(ask(client, "one\ntwo\n") == "ONE\n");
  BOOST_TEST(client.receive_line() == "TWO\n");
  const std::string first = example.read_line();
  BOOST_TEST(first.find(" 1 served in=4 out=4 queue_us=") != std::string::npos, first);
  const std::string second = example.read_line();
  BOOST_TEST(second.find(" 2 served in=4 out=4 queue_us=") != std::string::npos, second);
}

BOOST_AUTO_TEST_CASE(behind_proxy_knows_whose_a_connection_is, *timeout(20)) {
  const Example example("behind_proxy");
  const Client client = example.client();
  client.send("PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\r\nwho?\n");
  BOOST_TEST(client.receive_line() == "192.0.2.1 through 127.0.0.1\n");
  BOOST_TEST(ask(client, "and now?\n") == "192.0.2.1 through 127.0.0.1\n");
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

BOOST_AUTO_TEST_CASE(redis_server_speaks_the_protocol_of_redis, *timeout(20)) {
  const Example example("redis_server");
  const Client client = example.client();
  const auto answers = [&](const std::string& commands, const std::string& expected) {
    client.send(commands);
    std::string answer;
    while (answer.size() < expected.size()) answer += client.receive_line();
    BOOST_TEST(answer == expected);
  };
  answers("*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
  answers("*2\r\n$4\r\nping\r\n$5\r\nhello\r\nECHO inline\r\n\r\n",
          "$5\r\nhello\r\n$6\r\ninline\r\n");
  answers("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nGET k\nGET none\n",
          "+OK\r\n$4\r\na\r\nb\r\n$-1\r\n");
  answers("INCR n\nINCR n\nINCR k\nSET n 9223372036854775807\nINCR n\n",
          ":1\r\n:2\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"
          "-ERR increment or decrement would overflow\r\n");
  answers("EXISTS k n none k\nDBSIZE\nDEL k none\nDBSIZE\nFLUSHALL\nDBSIZE\n",
          ":3\r\n:2\r\n:1\r\n:1\r\n+OK\r\n:0\r\n");
  answers("SELECT 0\nSELECT 1\nCONFIG GET save\nCOMMAND DOCS\n",
          "+OK\r\n-ERR DB index is out of range\r\n*2\r\n$4\r\nsave\r\n$0\r\n\r\n*0\r\n");
  answers("GET\nnonsense a b\n",
          "-ERR wrong number of arguments for 'get' command\r\n"
          "-ERR unknown command 'nonsense', with args beginning with: 'a' 'b' \r\n");
  // A command arrives in two pieces, and another client is served in between.
  client.send("*2\r\n$3\r\nGET\r\n$4\r\nno");
  BOOST_TEST(ask(example.client(), "PING\r\n") == "+PONG\r\n");
  answers("ne\r\n", "$-1\r\n");
  client.send("PING\nQUIT\nPING\n");
  BOOST_TEST(client.receive_to_end() == "+PONG\r\n+OK\r\n");
  for (const auto& [wrong, complaint] : {std::pair("*x\r\n", "invalid multibulk length"),
                                         std::pair("*1\r\n$-5\r\n", "invalid bulk length")}) {
    const Client other = example.client();
    other.send(std::string("PING\n") + wrong);
    BOOST_TEST(other.receive_to_end() ==
               std::string("+PONG\r\n-ERR Protocol error: ") + complaint + "\r\n");
  }
}

BOOST_AUTO_TEST_CASE(policies_serve_several_clients, *timeout(60)) {
  for (const std::string& name : policies()) {
    BOOST_TEST_CONTEXT(name) serves_several_clients(name);
  }
}

// The example has two threads for each address.
BOOST_AUTO_TEST_CASE(network_pools_keep_networks_apart, *timeout(20)) {
  const Example example("network_pools");
  const Client one = example.client();
  const Client other = example.client();
  BOOST_TEST(ask(one, "hello\n") == "hello\n");
  BOOST_TEST(ask(other, "hello\n") == "hello\n");
  const Client waiting = example.client();
  waiting.send("waits\n");
  BOOST_TEST(ask(example.client("127.0.0.2"), "hello\n") == "hello\n");
  one.end_output();
  BOOST_TEST(waiting.receive_line() == "waits\n");
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
  const Client echo("127.0.0.1", port_of(address_in(who.read_line())));
  BOOST_TEST(ask(echo, "hello\n") == "hello\n");
  BOOST_TEST(who.client().receive_line().starts_with("you are 127.0.0.1:"));
}

BOOST_AUTO_TEST_CASE(thread_per_request_looks_names_up, *timeout(20)) {
  const Example example("thread_per_request");
  const Client client = example.client();
  BOOST_TEST(ask(client, "127.0.0.1\n") == "127.0.0.1 \n");
  BOOST_TEST(ask(example.client(), "::1\n") == "::1 \n");
  BOOST_TEST(ask(client, "no name\n").find("no name") != std::string::npos);
  BOOST_TEST(ask(client, "127.0.0.2\n") == "127.0.0.2 \n");
}

BOOST_AUTO_TEST_CASE(restart_hands_its_listener_over, *timeout(20)) {
  Process process({EXAMPLES "/restart", "0"});
  const std::string first = process.read_line();
  const auto client = [&] { return Client("127.0.0.1", port_of(address_in(first))); };
  BOOST_TEST(ask(client(), "hello\n") == "hello\n");
  process.signal(SIGHUP);
  BOOST_TEST(process.read_line() == first);
  // The first program ends when the next one serves. The test does not know the next one's process
  // number, so it finds that by its executable.
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST(ask(client(), "hello\n") == "hello\n");
  const std::string path = std::filesystem::canonical(EXAMPLES "/restart").string();
  for (const auto& each : std::filesystem::directory_iterator("/proc")) {
    std::error_code none;
    if (std::filesystem::read_symlink(each.path() / "exe", none) != path) continue;
    ::kill(std::stoi(each.path().filename()), SIGTERM);
  }
  BOOST_TEST(process.rest_of_stderr().empty());
}

BOOST_AUTO_TEST_CASE(socket_activation_serves_what_it_is_handed, *timeout(20)) {
  const Example alone("socket_activation");
  BOOST_TEST(ask(alone.client(), "hello\n") == "hello\n");
  const std::string manager = R"(
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())  # before anybody accepts
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[1], sys.argv[1:]))";
  const Example example({"python3", "-c", manager, EXAMPLES "/socket_activation"});
  BOOST_TEST(ask(example.client(), "hello\n") == "hello\n");
}
