// The demo server, from outside: which system calls its requests cost, as strace(1) counts them.

#include <chrono>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

// Returns how often each call was made, from a trace of strace; nothing until the trace is
// complete.
std::map<std::string, std::size_t> calls_in(const std::string& path, pid_t server) {
  std::map<std::string, std::size_t> calls;
  bool complete = false;
  std::ifstream trace(path);
  for (std::string line; std::getline(trace, line);) {
    if (line.find("+++ exited") != std::string::npos && std::stoi(line) == server) complete = true;
    // A line is "PID CALL(ARGUMENTS…". A second line for a call that was interrupted begins with
    // "<...".
    const auto begin = line.find_first_not_of(' ', line.find(' '));
    const auto end = line.find('(');
    if (begin == std::string::npos || end == std::string::npos || line[begin] == '<') continue;
    ++calls[line.substr(begin, end - begin)];
  }
  if (!complete) calls.clear();
  return calls;
}

Words tracing(const std::string& path) {
  return {"strace", "-D",
          "-f",     "-q",
          "-I",     "2",
          "-o",     path,
          "-E",     "ASAN_OPTIONS=detect_leaks=0",
          "-e",     "trace=recvfrom,sendto,recvmsg,sendmsg,read,write,poll,ppoll,setsockopt"};
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_turn_of_a_conversation_costs_two_system_calls, policies, policy) {
  if (cannot_inject()) return;
  constexpr std::size_t turns = 200;
  // The other calls: for the begin and the end of the connection, and for the signal.
  constexpr std::size_t few = 20;
  const Scratch scratch;
  const std::string trace = scratch.path("trace");
  Echo echo({"--policy", policy, "--handler", "conversation"}, {}, tracing(trace));
  {
    const Client client = echo.client();
    for (std::size_t i = 0; i < turns; ++i) {
      BOOST_TEST(echoes(client));
      // Makes the server wait for the next request.
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  const pid_t server = echo.process.pid();
  BOOST_TEST(echo.stop() == 0);
  // The tracer ends a moment after the server.
  BOOST_TEST(soon([&] { return !calls_in(trace, server).empty(); }));
  auto calls = calls_in(trace, server);
  std::size_t sum = 0;
  for (const auto& [call, count] : calls) {
    BOOST_TEST_MESSAGE(policy << ": " << call << " " << count);
    sum += count;
  }
  BOOST_TEST(calls["recvfrom"] >= turns);
  BOOST_TEST(calls["sendto"] >= turns);
  BOOST_TEST(calls["recvfrom"] <= turns + few);
  BOOST_TEST(calls["poll"] + calls["ppoll"] <= few);
  BOOST_TEST(sum <= 2 * turns + 5 * few);
}
