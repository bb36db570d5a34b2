// The demo server, from outside: accept(2) fails in each way that it can.

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

const std::array<std::string, 2> kinds{"tcp", "unix"};

struct Fault {
  const char* name;  // the name in strace
  int error;
  bool counted = true;  // in accept_errors

  std::string message() const { return std::system_category().message(error); }
  // Returns the starter for this fault; `calls` is strace's notation for the calls that fail.
  Words at(const std::string& calls) const {
    return injecting(std::string("accept4:error=") + name + ":when=" + calls);
  }
  friend std::ostream& operator<<(std::ostream& out, const Fault& fault) {
    return out << fault.name;
  }
};

// No client waits any more, or only that connection failed: the next call may succeed.
constexpr std::array passing{
    Fault{"EAGAIN", EAGAIN, false},      Fault{"EINTR", EINTR, false},
    Fault{"ECONNABORTED", ECONNABORTED}, Fault{"EPROTO", EPROTO},
    Fault{"ENETDOWN", ENETDOWN},         Fault{"ENOPROTOOPT", ENOPROTOOPT},
    Fault{"EHOSTDOWN", EHOSTDOWN},       Fault{"ENONET", ENONET},
    Fault{"EHOSTUNREACH", EHOSTUNREACH}, Fault{"EOPNOTSUPP", EOPNOTSUPP},
    Fault{"ENETUNREACH", ENETUNREACH},   Fault{"EPERM", EPERM},
};

// The system is out of some resource, which may become free again.
constexpr std::array exhausted{
    Fault{"EMFILE", EMFILE},
    Fault{"ENFILE", ENFILE},
    Fault{"ENOBUFS", ENOBUFS},
    Fault{"ENOMEM", ENOMEM},
};

// The descriptor is not a listener any more.
constexpr std::array deadly{
    Fault{"EBADF", EBADF},
    Fault{"EINVAL", EINVAL},
    Fault{"ENOTSOCK", ENOTSOCK},
    Fault{"EFAULT", EFAULT},
};

// Sends requests of many clients at the same time; returns how many were answered.
std::size_t answered(const Survivor& server, std::size_t count) {
  std::vector<Client> clients;
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(server.client());
    messages.push_back(pattern(100, i));
  }
  return echo_all(clients, messages);
}

}  // namespace

// --- errors that pass ---------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(what_was_one_connections_error_harms_no_other,
                     data::make(kinds) * data::make(policies) * data::make(passing), kind, policy,
                     fault) {
  constexpr std::size_t connections = 20;
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.at("1+2"), kind);
  BOOST_TEST(answered(server, connections) == connections);
  // Every second call fails, so each that brought a connection came after one that failed.
  const std::uint64_t errors = server.stats().at("accept_errors");
  if (fault.counted) {
    BOOST_TEST(errors >= connections);
  } else {
    BOOST_TEST(errors == 0U);
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(what_has_run_out_is_complained_of_and_waited_for,
                     data::make(kinds) * data::make(policies) * data::make(exhausted), kind, policy,
                     fault) {
  constexpr std::size_t connections = 20;
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.at("1..3"), kind);
  const auto begin = Clock::now();
  BOOST_TEST(answered(server, connections) == connections);
  BOOST_TEST((Clock::now() - begin < 2s));
  BOOST_TEST(server.stats().at("accept_errors") == 3U);
  server.common_end();
  // At most one line a second.
  const auto lines = server.complaint_lines();
  const auto seconds = static_cast<std::size_t>((Clock::now() - begin) / 1s);
  BOOST_TEST(lines >= 1U);
  BOOST_TEST(lines <= 1U + seconds, server.complaints());
  BOOST_TEST(server.complaints().find(fault.message()) != std::string::npos, server.complaints());
}

// --- errors that a listener does not survive ----------------------------------------------------

// The server neither runs on without a listener nor retries forever.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(without_a_listener_it_ends_and_says_why,
                     data::make(kinds) * data::make(policies) * data::make(deadly), kind, policy,
                     fault) {
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.at("3+"), kind);
  const Client established = server.client();
  BOOST_TEST(echoes(established));
  const auto begin = Clock::now();
  const Client late = server.client();  // the kernel accepts the connection
  const std::string said = server.echo.process.rest_of_stderr();
  BOOST_TEST(server.echo.process.wait() == 1);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(said.find(fault.message()) != std::string::npos, said);
  const Line& line = server.echo.line;
  const std::string where = line.path.empty() ? ':' + std::to_string(line.port) : line.path;
  BOOST_TEST(said.find(where) != std::string::npos, said);
  BOOST_TEST(established.receive_to_end().empty());
  BOOST_TEST(late.receive_to_end().empty());
  BOOST_TEST((line.path.empty() || !std::filesystem::exists(line.path)));
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(one_listener_dies_and_the_other_serves_on,
                     data::make(policies) * data::make(deadly), policy, fault) {
  if (cannot_inject()) return;
  Words arguments = under(policy);
  arguments.insert(arguments.end(), {"--listen", "tcp://127.0.0.1:0"});
  Survivor server(arguments, fault.at("2"));
  const Line dying(server.echo.process.read_line());
  // The first call accepts this client. The second one, which looks for another client, fails.
  const Client established = dying.client();
  BOOST_TEST(echoes(established));
  BOOST_TEST(server.counts("accept_errors", 1));
  wait_until_refused(dying);
  BOOST_TEST(echoes(established));
  BOOST_TEST(answered(server, 3) == 3U);
  established.end_output();
  BOOST_TEST(established.receive_to_end().empty());
  server.common_end();
  BOOST_TEST(one_line(server.complaints()), server.complaints());
  BOOST_TEST(server.complaints().find(':' + std::to_string(dying.port)) != std::string::npos,
             server.complaints());
  BOOST_TEST(server.complaints().find(fault.message()) != std::string::npos, server.complaints());
}
