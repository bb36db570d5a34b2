// The demo server, from outside: what its users type, send, and see.

#include "support/demo.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

// --- where it listens ---------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(it_says_where_it_listens_and_how_it_serves, *timeout(20)) {
  Echo pool;
  const auto workers =
      std::max<std::size_t>(8, std::size_t{2} * std::thread::hardware_concurrency());
  BOOST_TEST(pool.line.description == "pool, " + std::to_string(workers) + " workers");
  BOOST_TEST(Echo({"--workers", "3"}).line.description == "pool, 3 workers");
  for (const std::string policy : {"thread", "fork", "inline"}) {
    BOOST_TEST(Echo({"--policy", policy}).line.description == policy);
  }
  BOOST_TEST(pool.stop() == 0);
  BOOST_TEST(pool.process.rest_of_stdout().empty());
}

BOOST_AUTO_TEST_CASE(it_listens_on_each_endpoint_that_it_was_given, *timeout(20)) {
  Echo echo({"--listen", "tcp://127.0.0.1:0", "--listen", "tcp://127.0.0.2:0"});
  const Line second(echo.process.read_line());
  const Line third(echo.process.read_line());
  BOOST_TEST(second.port != echo.line.port);
  BOOST_TEST(third.host == "127.0.0.2");
  for (const Line& line : {echo.line, second, third}) BOOST_TEST(echoes(line.client()));
  BOOST_TEST(echo.stop() == 0);
}

BOOST_AUTO_TEST_CASE(it_listens_on_every_address_of_a_host_name_at_one_port, *timeout(20)) {
  Process process(demo({"echo", "--listen", "tcp://localhost:0"}));
  const Line first(process.read_line());
  BOOST_TEST(echoes(first.client()));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  std::istringstream others(process.rest_of_stdout());
  for (std::string text; std::getline(others, text);) BOOST_TEST(Line(text).port == first.port);
}

BOOST_AUTO_TEST_CASE(it_listens_on_ipv6, *timeout(20)) {
  Process process(demo({"echo", "--listen", "tcp://[::1]:0"}));
  std::string said;
  try {
    said = process.read_line();
  } catch (const std::runtime_error&) {
    BOOST_TEST_MESSAGE("there is no IPv6 here");
    return;
  }
  const Line line(said);
  BOOST_TEST(said.starts_with("echo on tcp://[::1]:"));
  BOOST_TEST(echoes(line.client()));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
}

// --- its clients --------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(nc_socat_and_python_get_their_bytes_back, policies, policy) {
  Echo echo({"--policy", policy});
  const std::string port = std::to_string(echo.line.port);
  const std::string python =
      "import socket, sys\n"
      "with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10) as s:\n"
      "    s.sendall(sys.stdin.buffer.read())\n"
      "    s.shutdown(socket.SHUT_WR)\n"
      "    sys.stdout.buffer.write(b''.join(iter(lambda: s.recv(4096), b'')))\n";
  const std::string sent = pattern(50'000, 7);
  for (const Words& words : {Words{"nc", "-N", "127.0.0.1", port},
                             Words{"socat", "-t", "10", "-", "TCP4:127.0.0.1:" + port},
                             Words{"python3", "-c", python, port}}) {
    Process client(words, {.input = sent});
    BOOST_TEST((client.rest_of_stdout() == sent), words.front());
    BOOST_TEST(client.wait() == 0, words.front());
  }
  BOOST_TEST(echo.stop() == 0);
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(two_hundred_connections_in_step_get_every_byte_back, policies, policy) {
  constexpr std::array<std::size_t, 20> sizes{1,    2,    3,     64,    100,   1000, 1024,
                                              1460, 2048, 4095,  4096,  4097,  5000, 8192,
                                              9999, 1,    16384, 32768, 65535, 65536};
  Echo echo({"--policy", policy});
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(echo.client());
  for (std::size_t step = 0; step < sizes.size(); ++step) {
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      messages.push_back(pattern(sizes.at((step + i) % sizes.size()), 1000 * step + i));
    }
    BOOST_REQUIRE(support::echo_all(clients, messages) == clients.size());
  }
  BOOST_TEST(echo.stop() == 0);
}

BOOST_AUTO_TEST_CASE(it_raises_its_descriptor_limit, *timeout(20)) {
  Echo echo({}, {}, {"prlimit", "--nofile=64:4096"});
  std::vector<Client> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(echo.client());
  const std::vector<std::string> messages(clients.size(), "hello\n");
  BOOST_TEST(support::echo_all(clients, messages) == clients.size());
  BOOST_TEST(echo.stop() == 0);
}

// --- its counters
// ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(on_a_terminal_the_counters_are_a_table_too, *timeout(20)) {
  if (!std::filesystem::exists("/dev/pts/ptmx")) return;  // a minimal root has no terminals
  // Runs the command with a terminal as its stderr, and copies what it prints there to ours.
  const std::string starter =
      "import os, pty, sys\n"
      "ours, theirs = pty.openpty()\n"
      "if os.fork() == 0:\n"
      "    os.close(theirs)\n"
      "    os.close(1)\n"
      "    try:\n"
      "        while True: os.write(2, os.read(ours, 4096))\n"
      "    except OSError:\n"
      "        os._exit(0)\n"
      "os.dup2(theirs, 2)\n"
      "os.execv(sys.argv[1], sys.argv[1:])\n";
  Echo echo({}, {}, {"python3", "-c", starter});
  BOOST_TEST(echoes(echo.client()));
  echo.process.signal(SIGUSR1);
  std::string text;
  while (text.find("accepted ") != 0) text = echo.process.read_error_line();
  // The total, and the rate since the start.
  std::istringstream row(text);
  std::string name;
  int total = 0;
  std::string rate;
  row >> name >> total >> rate;
  BOOST_TEST(total == 1);
  BOOST_TEST(rate.ends_with("/s"), text);
  BOOST_TEST(echo.stop() == 0);
}
