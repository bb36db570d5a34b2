// The demo server, from outside: each kind of endpoint under each policy, and its clients.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

// A client that sends its input, and prints the answer.
constexpr const char* python =
    "import socket, sys\n"
    "scheme, place, port = sys.argv[1:]\n"
    "unix = scheme.startswith('unix')\n"
    "stream = scheme in ('tcp', 'unix')\n"
    "family = socket.AF_UNIX if unix else socket.AF_INET6 if ':' in place else socket.AF_INET\n"
    "name = place.replace('@', '\\0', 1) if unix else (place, int(port))\n"
    "with socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as s:\n"
    "    s.settimeout(10)\n"
    "    if unix and not stream: s.bind('')\n"
    "    s.connect(name)\n"
    "    s.sendall(sys.stdin.buffer.read())\n"
    "    if stream: s.shutdown(socket.SHUT_WR)\n"
    "    answer = b''.join(iter(lambda: s.recv(65536), b'')) if stream else s.recv(65536)\n"
    "    sys.stdout.buffer.write(answer)\n";

// Returns the clients that know this kind of endpoint: programs of the system, and the one in
// Python.
std::vector<Words> clients_of(const Line& line) {
  const std::string port = std::to_string(line.port);
  const bool name = line.path.starts_with('@');
  std::vector<Words> all{
      {"python3", "-c", python, line.scheme, line.path.empty() ? line.host : line.path, port}};
  if (line.scheme == "tcp") {
    all.push_back({"nc", "-N", line.host, port});
    all.push_back({"socat", "-t", "10", "-", "TCP:" + line.host + ":" + port});
  } else if (line.scheme == "udp") {
    all.push_back({"nc", "-u", "-W", "1", line.host, port});
  } else if (line.scheme == "unix") {
    if (!name) all.push_back({"nc", "-N", "-U", line.path});
    const std::string address =
        name ? "ABSTRACT-CONNECT:" + line.path.substr(1) : "UNIX-CONNECT:" + line.path;
    all.push_back({"socat", "-t", "10", "-", address});
  }
  return all;
}

void check_clients(const Line& line, const std::string& sent) {
  for (const Words& words : clients_of(line)) {
    Process client(words, {.input = sent});
    BOOST_TEST((client.rest_of_stdout() == sent), words.front() << ", " << line.endpoint());
    BOOST_TEST(client.wait() == 0, words.front() << ", " << line.endpoint());
  }
}

// Returns the lines that the process has printed, once it has ended.
std::vector<Line> rest_of_lines(Process& process) {
  std::vector<Line> lines;
  std::istringstream text(process.rest_of_stdout());
  for (std::string line; std::getline(text, line);) lines.emplace_back(line);
  return lines;
}

// Returns a number from the statistics that the server prints at its end.
std::string counted(const std::string& said, const std::string& name) {
  const auto begin = said.rfind(' ' + name + '=');
  if (begin == std::string::npos) return "no " + name;
  const auto number = begin + name.size() + 2;
  return said.substr(number, said.find_first_of(" \n", number) - number);
}

// Returns the number of addresses that a name has; none if nothing can listen there.
std::size_t addresses_of(const std::string& endpoint) {
  Process process(demo({"echo", "--listen", endpoint}));
  std::string said;
  try {
    said = process.read_line();
  } catch (const std::runtime_error&) {
    BOOST_TEST_MESSAGE("nothing can listen on " << endpoint << " here");
    return 0;
  }
  const Line first(said);
  BOOST_TEST(echoes(first));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  const auto others = rest_of_lines(process);
  for (const Line& line : others) {
    BOOST_TEST(line.port == first.port);
    BOOST_TEST(line.host != first.host);
  }
  return 1 + others.size();
}

}  // namespace

// --- each kind ----------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(clients_of_each_kind_get_their_bytes_back,
                     data::make(endpoint_kinds) * data::make(policies), kind, policy) {
  Echo echo({"--policy", policy}, {}, {}, kind);
  check_clients(echo.line, pattern(echo.line.stream() ? 50'000 : 8'000, 7));
  BOOST_TEST(echoes(echo.line));
  BOOST_TEST(echo.stop() == 0);
  const std::string said = echo.process.rest_of_stderr();
  // "drained" is 0 or 1: the last client may not have left when the signal arrived.
  BOOST_TEST(said.ends_with("closed idle 0, cut 0, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(datagrams_of_each_size_come_back_whole,
                     data::make(datagram_kinds) * data::make(policies), kind, policy) {
  Echo echo({"--policy", policy, "--stats", "3600"}, {}, {}, kind);
  const DatagramClient client = echo.datagram_client();
  const std::vector<std::size_t> sizes{0, 1, 2, 1472, 1473, 4096, 8192, 8193, 65507, 0};
  // One at a time, so that there is buffer space for each.
  for (const std::size_t size : sizes) {
    client.send(pattern(size, size));
    BOOST_TEST((client.receive() == pattern(size, size)), "size: " << size);
  }
  BOOST_TEST(echo.stop() == 0);
  const std::string said = echo.process.rest_of_stderr();
  for (const std::string name : {"accepted", "served", "requests", "replies"}) {
    BOOST_TEST(counted(said, name) == std::to_string(sizes.size()), name << " in " << said);
  }
  for (const std::string name : {"replies_dropped", "datagrams_lost", "failed", "accept_errors"}) {
    BOOST_TEST(counted(said, name) == "0", name << " in " << said);
  }
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(two_hundred_unix_connections_get_every_byte_back, policies, policy) {
  Echo echo({"--policy", policy}, {}, {}, "unix");
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(echo.client());
  for (const std::size_t size : {1U, 1000U, 65536U}) {
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < clients.size(); ++i) messages.push_back(pattern(size, i));
    BOOST_REQUIRE(support::echo_all(clients, messages) == clients.size());
  }
  BOOST_TEST(echo.stop() == 0);
}

// --- what it prints ------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(it_says_where_it_listens, endpoint_kinds, kind) {
  const Scratch scratch;
  const std::string endpoint = scratch.endpoint(kind);
  Process process(demo({"echo", "--policy", "inline", "--listen", endpoint}));
  const std::string said = process.read_line();
  const Line line(said);
  if (endpoint.ends_with(":0")) {
    BOOST_TEST(line.port != 0);
    BOOST_TEST(said.starts_with("echo on " + endpoint.substr(0, endpoint.size() - 1)), said);
    BOOST_TEST(said.ends_with(":" + std::to_string(line.port) + " (inline)"), said);
  } else {
    BOOST_TEST(said == "echo on " + endpoint + " (inline)");
  }
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST(process.rest_of_stdout().empty());
}

BOOST_AUTO_TEST_CASE(a_path_may_begin_where_it_was_started, *timeout(20)) {
  const Scratch scratch;
  const std::string path = scratch.path("here");
  Words command{"env", "-C", path.substr(0, path.rfind('/'))};
  std::ranges::copy(demo({"echo", "--listen", "unix:here"}), std::back_inserter(command));
  Process process(command);
  BOOST_TEST(process.read_line().starts_with("echo on unix:here ("));
  BOOST_TEST(echoes(Client(Place{{}, 0, path})));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST(!std::filesystem::exists(path));
}

// --- several addresses --------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(it_serves_every_kind_in_one_process, policies, policy) {
  const Scratch scratch;
  Words words{"echo", "--policy", policy};
  for (const std::string& kind : endpoint_kinds) {
    words.insert(words.end(), {"--listen", scratch.endpoint(kind)});
    if (kind == "unix@") words.insert(words.end(), {"--listen", scratch.endpoint("unixgram@")});
    if (kind == "udp") words.insert(words.end(), {"--listen", scratch.endpoint(kind)});
    // Both kinds would use the same path in the directory, so this one gets another name.
    if (kind == "unixgram") words.back() = "unixgram:" + scratch.path("datagrams");
  }
  Process process(demo(words));
  std::vector<Line> lines;
  for (std::size_t i = 0; i < endpoint_kinds.size() + 2; ++i)
    lines.emplace_back(process.read_line());
  std::vector<std::string> schemes;
  for (const Line& line : lines) {
    schemes.push_back(line.scheme);
    BOOST_TEST(echoes(line), line.endpoint());
  }
  std::ranges::sort(schemes);
  const std::vector<std::string> expected{"tcp",  "udp",      "udp",     "unix",
                                          "unix", "unixgram", "unixgram"};
  BOOST_TEST(schemes == expected);
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST(!std::filesystem::exists(scratch.path("socket")));
  BOOST_TEST(!std::filesystem::exists(scratch.path("datagrams")));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(it_listens_on_every_address_of_a_host_at_one_port, data::make({"tcp", "udp"}),
                     scheme) {
  BOOST_TEST(addresses_of(std::string(scheme) + "://127.0.0.1:0") == 1U);
  BOOST_TEST(addresses_of(std::string(scheme) + "://[::1]:0") <= 1U);
  BOOST_TEST(addresses_of(std::string(scheme) + "://localhost:0") >= 1U);
}

// A connected client receives no answer from an address other than the one that it sent to.
BOOST_AUTO_TEST_CASE(who_asks_any_address_is_answered_from_there, *timeout(20)) {
  Process process(demo({"echo", "--listen", "udp://0.0.0.0:0"}));
  const Line line(process.read_line());
  BOOST_TEST(line.host == "0.0.0.0");
  for (const std::string host : {"127.0.0.1", "127.0.0.2"}) {
    Line asked = line;
    asked.host = host;
    check_clients(asked, "from where?");
  }
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
}
