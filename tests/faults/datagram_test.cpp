// The demo server, from outside: receiving and sending of datagrams fail in every possible way.

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

constexpr std::size_t datagrams = 20;
// A socket that is bound to all addresses uses recvmsg(2), which reports the address that the
// client sent to.
const std::string receiving = "recvfrom,recvmsg";
const std::string sending = "sendto,sendmsg";

struct Fault {
  const char* name;  // the name in strace
  int error;
  bool counted = true;  // in accept_errors

  std::string message() const { return std::system_category().message(error); }
  // Returns the starter for this fault; `which` is strace's notation for the calls that fail.
  Words of(const std::string& call, const std::string& which = {}) const {
    return injecting(call + ":error=" + name + which);
  }
  friend std::ostream& operator<<(std::ostream& out, const Fault& fault) {
    return out << fault.name;
  }
};

// No datagram waits, or the error belongs to an earlier one: the next call may succeed.
constexpr std::array passing{Fault{"EAGAIN", EAGAIN, false}, Fault{"EINTR", EINTR, false},
                             Fault{"ECONNREFUSED", ECONNREFUSED}, Fault{"ENETDOWN", ENETDOWN},
                             Fault{"EHOSTUNREACH", EHOSTUNREACH}};
// The system is out of some resource, which may become free again.
constexpr std::array exhausted{Fault{"ENOBUFS", ENOBUFS}, Fault{"ENOMEM", ENOMEM}};
// The descriptor is not a socket any more.
constexpr std::array deadly{Fault{"EBADF", EBADF}, Fault{"EINVAL", EINVAL},
                            Fault{"ENOTSOCK", ENOTSOCK}, Fault{"EFAULT", EFAULT}};
// No process receives the answer, or there is no buffer space for it.
constexpr std::array unsendable{Fault{"EAGAIN", EAGAIN},
                                Fault{"ENOBUFS", ENOBUFS},
                                Fault{"ENOMEM", ENOMEM},
                                Fault{"ECONNREFUSED", ECONNREFUSED},
                                Fault{"EHOSTUNREACH", EHOSTUNREACH},
                                Fault{"ENETUNREACH", ENETUNREACH}};
// The handler tried to send something that is impossible or forbidden.
constexpr std::array forbidden{Fault{"EPERM", EPERM}, Fault{"EACCES", EACCES},
                               Fault{"EMSGSIZE", EMSGSIZE}};

// The client sets the permissions of the file that the answer goes to.
bool is_forbidden_by_client(const std::string& kind, const Fault& fault) {
  return kind == "unixgram" && fault.error != EMSGSIZE;
}

// Sends one datagram from each of many clients; returns how many were answered.
std::size_t answered(const Survivor& server, std::size_t count) {
  std::vector<DatagramClient> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(server.datagram_client());
    clients.back().send(pattern(100, i));
  }
  std::size_t right = 0;
  for (std::size_t i = 0; i < count; ++i) {
    right += clients.at(i).receive() == pattern(100, i) ? 1 : 0;
  }
  return right;
}

// Checks that there is at least one line, and at most one a second.
void check_complaints(const Survivor& server, Clock::duration lasted) {
  BOOST_TEST(server.complaint_lines() >= 1U);
  BOOST_TEST(server.complaint_lines() <= 1U + static_cast<std::size_t>(lasted / 1s),
             server.complaints());
}

}  // namespace

// --- receiving ----------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(what_passes_in_receiving_loses_no_datagram,
                     data::make(datagram_kinds) * data::make(policies) * data::make(passing), kind,
                     policy, fault) {
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.of(receiving, ":when=1+2"), kind);
  BOOST_TEST(answered(server, datagrams) == datagrams);
  // Every second call fails, so each that brought a datagram came after one that failed.
  const std::uint64_t errors = server.stats().at("accept_errors");
  if (fault.counted) {
    BOOST_TEST(errors >= datagrams);
  } else {
    BOOST_TEST(errors == 0U);
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(what_has_run_out_is_complained_of_and_waited_for,
                     data::make(datagram_kinds) * data::make(policies) * data::make(exhausted),
                     kind, policy, fault) {
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.of(receiving, ":when=1..3"), kind);
  const auto begin = Clock::now();
  BOOST_TEST(answered(server, datagrams) == datagrams);
  BOOST_TEST((Clock::now() - begin < 2s));
  BOOST_TEST(server.stats().at("accept_errors") == 3U);
  server.common_end();
  check_complaints(server, Clock::now() - begin);
  BOOST_TEST(server.complaints().find(fault.message()) != std::string::npos, server.complaints());
}

// The server waits for as long as it takes, without using CPU time.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(it_waits_for_memory_without_haste,
                     data::make(datagram_kinds) * data::make(policies), kind, policy) {
  if (cannot_inject()) return;
  Survivor server(under(policy), injecting(receiving + ":error=ENOMEM"), kind);
  const DatagramClient client = server.datagram_client();
  client.send("patience");
  BOOST_TEST(server.counts("accept_errors", 4));
  const auto cpu = server.cpu();
  const auto begin = Clock::now();
  BOOST_TEST(!client.receive(1s));
  const auto used = std::chrono::microseconds(server.cpu() - cpu);
  BOOST_TEST((used < (Clock::now() - begin) / 20), "CPU time: " << used.count() << " us");
  server.end_injecting();
  BOOST_TEST((client.receive() == "patience"));
  server.common_end();
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(without_its_socket_it_ends_and_says_why,
                     data::make(datagram_kinds) * data::make(policies) * data::make(deadly), kind,
                     policy, fault) {
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.of(receiving, ":when=3+"), kind);
  const DatagramClient client = server.datagram_client();
  BOOST_TEST(client.echoes("hello"));
  const auto begin = Clock::now();
  client.try_send("late");
  const std::string said = server.echo.process.rest_of_stderr();
  BOOST_TEST(server.echo.process.wait() == 1);
  BOOST_TEST((Clock::now() - begin < quickly));
  BOOST_TEST(said.find(fault.message()) != std::string::npos, said);
  const Line& line = server.echo.line;
  const std::string where = line.path.empty() ? ':' + std::to_string(line.port) : line.path;
  BOOST_TEST(said.find(where) != std::string::npos, said);
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(one_socket_dies_and_the_other_serves_on,
                     data::make(policies) * data::make(deadly), policy, fault) {
  if (cannot_inject()) return;
  Words arguments = under(policy);
  arguments.insert(arguments.end(), {"--listen", "udp://127.0.0.1:0"});
  Survivor server(arguments, fault.of(receiving, ":when=2"), "udp");
  const Line dying(server.echo.process.read_line());
  // The first call is for this datagram, and the second, which fails, looks for another.
  BOOST_TEST(echoes(dying));
  BOOST_TEST(server.counts("accept_errors", 1));
  BOOST_TEST(answered(server, 3) == 3U);
  server.common_end();
  BOOST_TEST(one_line(server.complaints()), server.complaints());
  BOOST_TEST(server.complaints().find(':' + std::to_string(dying.port)) != std::string::npos,
             server.complaints());
  BOOST_TEST(server.complaints().find(fault.message()) != std::string::npos, server.complaints());
}

// --- sending ------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(an_interrupted_answer_is_sent_again,
                     data::make(datagram_kinds) * data::make(policies), kind, policy) {
  if (cannot_inject()) return;
  Survivor server(under(policy), injecting(sending + ":error=EINTR:when=1+2"), kind);
  BOOST_TEST(answered(server, datagrams) == datagrams);
  BOOST_TEST(server.counts("replies", datagrams));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(an_answer_that_cannot_be_sent_is_dropped_and_counted,
                     data::make(datagram_kinds) * data::make(policies) * data::make(unsendable),
                     kind, policy, fault) {
  if (cannot_inject()) return;
  Survivor server(under(policy), fault.of(sending), kind);
  const DatagramClient client = server.datagram_client();
  for (std::size_t i = 0; i < datagrams; ++i) client.send("unanswered");
  BOOST_TEST(server.counts("served", datagrams));
  auto stats = server.stats();
  BOOST_TEST(stats["replies_dropped"] == datagrams);
  BOOST_TEST(stats["replies"] == 0U);
  BOOST_TEST(stats["failed"] == 0U);
  BOOST_TEST(!client.receive(0ms));
  server.end_injecting();
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(an_answer_that_a_clients_file_forbids_is_dropped_and_counted,
                     data::make(datagram_kinds) * data::make(policies) * data::make(forbidden),
                     kind, policy, fault) {
  if (cannot_inject() || !is_forbidden_by_client(kind, fault)) return;
  Survivor server(under(policy), fault.of(sending), kind);
  const DatagramClient client = server.datagram_client();
  for (std::size_t i = 0; i < datagrams; ++i) client.send("unanswered");
  BOOST_TEST(server.counts("served", datagrams));
  auto stats = server.stats();
  BOOST_TEST(stats["replies_dropped"] == datagrams);
  BOOST_TEST(stats["failed"] == 0U);
  server.end_injecting();
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(an_answer_that_may_not_be_sent_is_its_handlers_error,
                     data::make(datagram_kinds) * data::make(policies) * data::make(forbidden),
                     kind, policy, fault) {
  if (cannot_inject() || is_forbidden_by_client(kind, fault)) return;
  Survivor server(under(policy), fault.of(sending), kind);
  const auto begin = Clock::now();
  const DatagramClient client = server.datagram_client();
  for (std::size_t i = 0; i < datagrams; ++i) client.send("unanswered");
  BOOST_TEST(server.counts("failed", datagrams));
  auto stats = server.stats();
  BOOST_TEST(stats["replies_dropped"] == datagrams);
  BOOST_TEST(stats["handler_errors"] == datagrams);
  server.end_injecting();
  server.common_end();
  check_complaints(server, Clock::now() - begin);
  BOOST_TEST(server.complaints().find(fault.message()) != std::string::npos, server.complaints());
}
