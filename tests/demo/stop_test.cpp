// The demo server, from outside: how it stops, and what it refuses.

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

// A command line that the demo rejects, by its words after `netserve`.
struct Refused {
  Words words;
  friend std::ostream& operator<<(std::ostream& out, const Refused& refused) {
    for (const std::string& word : refused.words) out << word << ' ';
    return out;
  }
};

std::vector<Refused> mistakes() {
  std::vector<Refused> all{
      {{}},
      {{"frobnicate"}},
      {{"--frobnicate"}},
      {{"echo", "--frobnicate"}},
      {{"echo", "tcp://127.0.0.1:0"}},
      {{"echo", "--listen"}},
      {{"echo", "--policy", "none"}},
      {{"echo", "--policy", "thread", "--workers", "2"}},
      {{"echo", "--policy", "fork", "--workers", "2"}},
      {{"echo", "--policy", "inline", "--workers", "2"}},
      {{"echo", "--policy", "pool", "--keep-threads", "2"}},
      {{"echo", "--policy", "thread", "--keep-threads", "-1"}},
  };
  for (const std::string endpoint : {"",
                                     "127.0.0.1:80",
                                     "sctp://127.0.0.1:80",
                                     "tcp://127.0.0.1",
                                     "tcp://127.0.0.1:",
                                     "tcp://:80",
                                     "tcp://127.0.0.1:65536",
                                     "tcp://127.0.0.1:-1",
                                     "tcp://127.0.0.1:8x",
                                     "tcp://127.0.0.1: 80",
                                     "tcp://::1:80",
                                     "tcp://[::1]",
                                     "tcp://[]:80",
                                     "udp://127.0.0.1",
                                     "udp://:80",
                                     "unix:",
                                     "unix:@",
                                     "unixgram:",
                                     "fd://",
                                     "fd://x",
                                     "fd://-1"}) {
    all.push_back({{"echo", "--listen", endpoint}});
  }
  for (const std::string number : {"0", "-1", "4097", "x", "1.5", ""}) {
    all.push_back({{"echo", "--workers", number}});
  }
  for (const std::string number : {"0", "-1", "16777217", "18446744073709551616", "x", ""}) {
    all.push_back({{"echo", "--max-connections", number}});
  }
  for (const std::string number : {"-1", "86401", "x", "inf", "nan", ""}) {
    all.push_back({{"echo", "--drain-timeout", number}});
  }
  for (const std::string option :
       {"--request-timeout", "--idle-timeout", "--send-timeout", "--stats"}) {
    for (const std::string number : {"0", "-1", "1e300"}) all.push_back({{"echo", option, number}});
  }
  return all;
}

// Checks that the server ends with 1, and with one line, which names the endpoint and the reason.
void check_cannot_listen(const std::string& endpoint, const std::string& reason) {
  Process process(demo({"echo", "--listen", endpoint}));
  BOOST_TEST(process.rest_of_stdout().empty());
  const std::string said = process.rest_of_stderr();
  BOOST_TEST_CONTEXT(said) {
    BOOST_TEST(one_line(said));
    BOOST_TEST(said.find(endpoint + ": ") != std::string::npos);
    BOOST_TEST(said.find(reason) != std::string::npos);
  }
  BOOST_TEST(process.wait() == 1);
}

// Returns the lowest port that needs no privilege.
int first_free_port() {
  int port = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

}  // namespace

// --- how it stops -------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(idle_clients_do_not_hold_it_up, policies, policy) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Echo echo({"--policy", policy});
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(echo.client());
    BOOST_TEST(echoes(clients.front()));
    const auto begin = Clock::now();
    BOOST_TEST(echo.stop(signal) == 0);
    BOOST_TEST((Clock::now() - begin < quickly));
    for (const Client& client : clients) BOOST_TEST(client.receive_to_end().empty());
    const std::string said = echo.process.rest_of_stderr();
    BOOST_TEST(one_line(said), said);
    BOOST_TEST(said.ends_with(": drained 0, closed idle 3, cut 0, dropped 0, stuck 0\n"), said);
    BOOST_TEST(echo.process.rest_of_stdout().empty());
  }
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_client_in_the_middle_of_sending_gets_all_of_it_back, policies, policy) {
  // Each piece ends within a line, because a client that is silent between two requests is closed
  // after the quiet grace.
  constexpr std::size_t half = 32 * 1024;
  const std::string half_line(half - 1, 'x');
  std::string sent = half_line;
  Echo echo({"--policy", policy, "--framing", "line"});
  const Client client = echo.client();
  client.send(sent);
  std::string received;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4) echo.process.signal(SIGTERM);
    const std::string piece = i < 15 ? half_line + '\n' + half_line : half_line + '\n';
    client.send(piece);
    sent += piece;
    received += client.receive(2 * half - 1);
  }
  client.end_output();
  BOOST_TEST(client.receive_to_end().empty());
  BOOST_TEST((received == sent));
  BOOST_TEST(echo.process.wait() == 0);
  // "drained" is 0 or 1: the client may have been served to its end before the drain began.
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(said.ends_with("closed idle 0, cut 0, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_client_that_reads_nothing_is_cut_at_the_drain_time_out, policies, policy) {
  Echo echo({"--policy", policy, "--drain-timeout", "0.2"});
  const Client client = echo.client();
  client.send_until_stuck();
  const auto begin = Clock::now();
  BOOST_TEST(echo.stop() == 0);
  BOOST_TEST((Clock::now() - begin < quickly));
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(said.ends_with(": drained 0, closed idle 0, cut 1, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_second_signal_ends_it_at_once_children_included, policies, policy) {
  Echo echo({"--policy", policy, "--drain-timeout", "60"});
  const Client client = echo.client();
  client.send_until_stuck();
  echo.process.signal(SIGTERM);
  wait_until_refused(echo.line);  // it drains, and cannot end
  const int status = echo.stop(SIGINT);
  BOOST_TEST(status == 128 + SIGINT, echo.process.rest_of_stderr());
  client.receive_to_end();  // ends only when no process has the connection open
}

// After SIGTERM, SIGHUP restarts nothing.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_hangup_after_the_signal_lets_it_drain, policies, policy) {
  Echo echo({"--policy", policy, "--framing", "line"});
  const Client client = echo.client();
  client.send("half a ");
  echo.process.signal(SIGTERM);
  wait_until_refused(echo.line);  // it drains, and waits for the other half
  echo.process.signal(SIGHUP);
  client.send("line\n");
  BOOST_TEST(client.receive(12) == "half a line\n");
  client.end_output();
  BOOST_TEST(client.receive_to_end().empty());
  BOOST_TEST(echo.process.wait() == 0);
}

// --- with few descriptors ------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(without_a_descriptor_for_a_client_it_says_that_it_cannot_serve, policies,
                     policy) {
  int refused = 0;
  for (int limit = 4; limit <= 16; ++limit) {
    Words words{"prlimit", "--nofile=" + std::to_string(limit)};
    for (const std::string& word :
         demo({"echo", "--policy", policy, "--listen", "tcp://127.0.0.1:0"})) {
      words.push_back(word);
    }
    Process process(words);
    std::string said;
    try {
      said = process.read_line();
    } catch (const std::runtime_error& error) {
      // The process has ended, and the text contains what it printed.
      const std::string why = error.what();
      if (why.find("cannot serve: the limit of " + std::to_string(limit) + " open files") !=
          why.npos)
        ++refused;
      BOOST_TEST(process.wait() != 0);
      continue;
    }
    BOOST_TEST_CONTEXT("limit " << limit) {
      BOOST_TEST(echoes(Line(said).client()));
      process.signal(SIGTERM);
      BOOST_TEST(process.wait() == 0);
    }
  }
  BOOST_TEST(refused > 0);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_client_that_it_has_no_descriptor_for_does_not_hold_its_end_up, policies,
                     policy) {
  // LeakSanitizer needs descriptors for its search.
  Echo echo({"--policy", policy}, {}, {"env", "ASAN_OPTIONS=detect_leaks=0"});
  BOOST_TEST(echoes(echo.line));
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  BOOST_REQUIRE(::prlimit(echo.process.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);
  const Client waiting = echo.client();
  const auto begin = Clock::now();
  BOOST_TEST(echo.stop() == 0);
  BOOST_TEST((Clock::now() - begin < quickly));
}

// --- output that is not read ---------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(without_a_reader_of_stderr_it_serves_and_stops_as_ever, *timeout(20)) {
  // Python ignores SIGPIPE, and the demo would inherit that.
  const std::string starter =
      "import os, signal, sys\n"
      "ours, its = os.pipe()\n"
      "os.dup2(its, 2)\n"
      "os.closerange(ours, its + 1)\n"
      "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
      "os.execv(sys.argv[1], sys.argv[1:])\n";
  Echo echo({"--stats", "0.05"}, {}, {"python3", "-c", starter});
  BOOST_TEST(echoes(echo.client()));
  // The server has printed its statistics three times by now. They go to stderr, so the test cannot
  // see them.
  std::this_thread::sleep_for(150ms);
  BOOST_TEST(echoes(echo.client()));
  BOOST_TEST(echo.stop() == 0);
}

// --- what it rejects -----------------------------------------------------------------------------

namespace {

// Returns the first line of the answer to a command line that is refused.
std::string answer(const Words& words) {
  Process process(demo(words));
  const std::string said = process.rest_of_stderr();
  BOOST_TEST(process.wait() == 2);
  return said.substr(0, said.find('\n'));
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(mistakes_in_the_command_line_are_answered_with_the_usage, mistakes(),
                     refused) {
  Process process(demo(refused.words));
  BOOST_TEST(process.rest_of_stdout().empty());
  const std::string said = process.rest_of_stderr();
  BOOST_TEST(said.starts_with("netserve: "), said);
  BOOST_TEST(said.find(" [OPTIONS]") != std::string::npos, said);
  BOOST_TEST(process.wait() == 2);
}

BOOST_AUTO_TEST_CASE(an_option_without_effect_is_answered_with_what_it_is_for, *timeout(20)) {
  BOOST_TEST(answer({"echo", "--policy", "fork", "--workers", "3"}) ==
             "netserve: --workers requires --policy pool");
  BOOST_TEST(answer({"echo", "--keep-threads", "3"}) ==
             "netserve: --keep-threads requires --policy thread");
  BOOST_TEST(answer({"echo", "--client-burst", "3"}) ==
             "netserve: --client-burst requires --client-rate");
  BOOST_TEST(answer({"echo", "--client-exempt", "::1"}) ==
             "netserve: --client-exempt requires --client-rate or --client-connections");
}

BOOST_AUTO_TEST_CASE(a_number_out_of_bounds_is_answered_with_the_bounds, *timeout(20)) {
  BOOST_TEST(answer({"echo", "--idle-timeout", "-1"}) ==
             "netserve: --idle-timeout: \"-1\" is not a number of seconds from 0.001 to 86400, "
             "which is a day");
  BOOST_TEST(answer({"echo", "--drain-timeout", "-1"}) ==
             "netserve: --drain-timeout: \"-1\" is not a number of seconds from 0 to 86400, "
             "which is a day");
  // Versions of CLI11 write bounds in different ways.
  for (const auto& [option, bound] :
       {std::pair("--workers", "4096"), std::pair("--max-connections", "16777216")}) {
    const std::string said = answer({"echo", option, "0"});
    BOOST_TEST(said.find(option) != std::string::npos, said);
    BOOST_TEST(said.find(bound) != std::string::npos, said);
  }
}

BOOST_AUTO_TEST_CASE(help_goes_to_stdout, *timeout(20)) {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"echo", "--help"}}) {
    Process process(demo(words));
    const std::string said = process.rest_of_stdout();
    BOOST_TEST(said.find("--listen") != std::string::npos, said);
    BOOST_TEST(process.rest_of_stderr().empty());
    BOOST_TEST(process.wait() == 0);
  }
}

BOOST_AUTO_TEST_CASE(the_version_goes_to_stdout, *timeout(20)) {
  Process process(demo({"--version"}));
  BOOST_TEST(process.rest_of_stdout() == "netserve " NETSERVE_VERSION "\n");
  BOOST_TEST(process.rest_of_stderr().empty());
  BOOST_TEST(process.wait() == 0);
}

BOOST_AUTO_TEST_CASE(an_address_in_use_is_said_in_one_line, *timeout(20)) {
  Echo other;
  check_cannot_listen("tcp://127.0.0.1:" + std::to_string(other.line.port),
                      "Address already in use");
}

BOOST_AUTO_TEST_CASE(an_address_of_another_host_is_said_in_one_line, *timeout(20)) {
  check_cannot_listen("tcp://203.0.113.1:0", "Cannot assign requested address");
}

BOOST_AUTO_TEST_CASE(a_port_without_permission_is_said_in_one_line, *timeout(20)) {
  if (::geteuid() == 0 || first_free_port() <= 1) {
    BOOST_TEST_MESSAGE("every port is permitted here");
    return;
  }
  check_cannot_listen("tcp://127.0.0.1:1", "Permission denied");
}

BOOST_AUTO_TEST_CASE(a_name_that_does_not_resolve_is_said_in_one_line, *timeout(60)) {
  check_cannot_listen("tcp://no-such-host.invalid:80", "");
}

// --- without its standard streams ---------------------------------------------------------------

BOOST_AUTO_TEST_CASE(it_serves_without_stderr, *timeout(20)) {
  Echo echo({}, {.input = {}, .without_stderr = true});
  const Client client = echo.client();
  BOOST_TEST(echoes(client));
  BOOST_TEST(echo.stop() == 0);
  BOOST_TEST(client.receive_to_end().empty());
}

BOOST_AUTO_TEST_CASE(it_serves_without_stdout, *timeout(20)) {
  // This server cannot print its port, so it gets one that was free a moment ago.
  std::optional<Echo> other{std::in_place};
  const Line line = other->line;
  BOOST_TEST(other->stop() == 0);
  Process process(demo({"echo", "--listen", "tcp://127.0.0.1:" + std::to_string(line.port)}),
                  {.input = {}, .without_stdout = true});
  const Client client = wait_until_accepted(line);
  BOOST_TEST(echoes(client));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST(client.receive_to_end().empty());
  BOOST_TEST(one_line(process.rest_of_stderr()));
}
