// The demo server, from outside: it runs out of threads or children.

#include <array>
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/control_group.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

// Returns whether the server has closed the connection without sending a byte.
bool is_dropped(const Client& client) { return client.receive_to_end().empty(); }

// A policy that cannot make a thread or a child for a client, and the call that fails.
struct Creation {
  std::string policy;
  std::string call;
  std::string first;  // the number of the first call that is made for a client
  std::string second;
  int before;     // clients that are served first
  Words options;  // so that each client takes one

  Words arguments() const {
    Words words{"--policy", policy, "--handler", "conversation"};
    words.insert(words.end(), options.begin(), options.end());
    return words;
  }
  Words failing(const std::string& which) const {
    return injecting(call + ":error=EAGAIN:when=" + which);
  }
  friend std::ostream& operator<<(std::ostream& out, const Creation& creation) {
    return out << creation.policy;
  }
};

// strace counts the calls of each thread separately, and the main thread must make two of its own.
// So two clients are served first, to bring the serving thread to the same count.
const std::array creations{Creation{"thread", "clone3", "3", "4", 2, {"--keep-threads", "0"}},
                           Creation{"fork", "clone", "1", "2", 0, {}}};

// Returns whether the calls that make threads cannot be counted here.
bool miscounted(const std::string& call) {
#if __has_feature(thread_sanitizer)
  if (call == "clone3") {
    BOOST_TEST_MESSAGE("the thread sanitizer makes a thread of its own");
    return true;
  }
#endif
  return call.empty();
}

// Serves this many clients, each of which takes one thread or child.
void serve_first(const Survivor& server, const Creation& creation) {
  for (int i = 0; i < creation.before; ++i) {
    const Client client = server.client();
    BOOST_TEST(echoes(client));
    client.end_output();
    BOOST_TEST(client.receive_to_end().empty());
  }
  BOOST_TEST(server.comes_to_rest());
}

// The number of a thread that cannot be made at the start, and the arguments of the server.
struct Start {
  std::string failing;
  Words arguments;
  friend std::ostream& operator<<(std::ostream& out, const Start& start) {
    return out << start.failing << " of " << start.arguments.at(1);
  }
};

// First the workers' threads, then the two other threads.
const std::array starts{Start{"1", {"--policy", "pool", "--workers", "4"}},
                        Start{"2", {"--policy", "pool", "--workers", "4"}},
                        Start{"4", {"--policy", "pool", "--workers", "4"}},
                        Start{"5", {"--policy", "pool", "--workers", "4"}},
                        Start{"6", {"--policy", "pool", "--workers", "4"}},
                        Start{"1", {"--policy", "thread"}},
                        Start{"2", {"--policy", "fork"}},
                        Start{"1", {"--policy", "inline"}},
                        Start{"3", {"--policy", "inline", "--listen", "udp://127.0.0.1:0"}}};

}  // namespace

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_gets_no_thread_is_dropped_and_counted, data::make(creations), creation) {
  if (cannot_inject()) return;
  if (miscounted(creation.call)) return;
  Survivor server(creation.arguments(), creation.failing(creation.first + ".." + creation.second));
  serve_first(server, creation);
  for (int i = 0; i < 2; ++i) {
    const Client unlucky = server.client();
    unlucky.send("hello\n");
    BOOST_TEST(is_dropped(unlucky));
  }
  for (int i = 0; i < 3; ++i) BOOST_TEST(echoes(server.client()));
  BOOST_TEST(server.counts("served", 3 + static_cast<std::size_t>(creation.before)));
  auto stats = server.stats();
  BOOST_TEST(stats["dropped"] == 2U);
  BOOST_TEST(stats["policy_errors"] == 2U);
  server.common_end();
  // One line a second: two if the machine was slow.
  BOOST_TEST(server.complaint_lines() >= 1U);
  BOOST_TEST(server.complaint_lines() <= 2U, server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_gets_no_thread_waits_for_another_ones_end, data::make(creations),
                     creation) {
  if (cannot_inject()) return;
  if (miscounted(creation.call)) return;
  Survivor server(creation.arguments(), creation.failing(creation.second));
  serve_first(server, creation);
  {
    std::optional<Client> first(server.client());
    BOOST_TEST(echoes(*first));
    const Client second = server.client();
    second.send("hello\n");
    BOOST_TEST(server.counts("waiting", 1));
    BOOST_TEST(echoes(*first));
    first.reset();
    BOOST_TEST(second.receive(6) == "hello\n");
  }
  BOOST_TEST(server.counts("served", 2 + static_cast<std::size_t>(creation.before)));
  BOOST_TEST(server.stats()["dropped"] == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_waits_too_long_for_a_thread_is_shed, data::make(creations), creation) {
  if (cannot_inject()) return;
  if (miscounted(creation.call)) return;
  Words arguments = creation.arguments();
  arguments.insert(arguments.end(), {"--request-timeout", "0.2"});
  Survivor server(arguments, creation.failing(creation.second));
  serve_first(server, creation);
  {
    const Client first = server.client();
    BOOST_TEST(echoes(first));
    const Client second = server.client();
    BOOST_TEST(is_dropped(second));
    BOOST_TEST(echoes(first));
  }
  BOOST_TEST(server.counts("shed_waiting", 1));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// The last child has ended, so the request cannot wait for one, and no new child can be made.
BOOST_AUTO_TEST_CASE(who_waited_and_gets_no_child_is_dropped_and_counted, *timeout(30)) {
  if (cannot_inject()) return;
  Survivor server({"--policy", "fork", "--handler", "conversation"},
                  injecting("clone:error=EAGAIN:when=2..3"));
  {
    std::optional<Client> first(server.client());
    BOOST_TEST(echoes(*first));
    const Client second = server.client();
    second.send("hello\n");
    BOOST_TEST(server.counts("accepted", 2));
    first.reset();
    BOOST_TEST(is_dropped(second));
  }
  BOOST_TEST(server.counts("dropped", 1));
  BOOST_TEST(server.stats()["policy_errors"] == 1U);
  server.common_end();
  BOOST_TEST(one_line(server.complaints()), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_start_without_its_threads_fails_in_one_line, data::make(starts), start) {
  if (cannot_inject()) return;
  if (miscounted("clone3")) return;
  Words command = injecting("clone3:error=EAGAIN:when=" + start.failing);
  const Words echo = demo({"echo", "--listen", "tcp://127.0.0.1:0"});
  command.insert(command.end(), echo.begin(), echo.end());
  command.insert(command.end(), start.arguments.begin(), start.arguments.end());
  Process process(command);
  const std::string said = process.rest_of_stderr();
  BOOST_TEST(process.wait() == 1);
  BOOST_TEST(one_line(said), said);
  BOOST_TEST(process.rest_of_stdout().empty());
}

// Servers of several kinds are closed in threads, or one after the other if there are none.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(it_stops_without_threads_for_that, data::make({"inline", "fork"}), policy) {
  if (cannot_inject()) return;
  if (miscounted("clone3")) return;
  Survivor server({"--policy", policy, "--listen", "udp://127.0.0.1:0"},
                  injecting("clone3:error=EAGAIN:when=4+"));
  BOOST_TEST(echoes(Line(server.echo.process.read_line())));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(who_exceeds_the_systems_limit_of_tasks_waits, data::make(creations),
                     creation) {
  constexpr std::size_t places = 4;
  const PidsGroup group;
  Survivor server({"--policy", creation.policy, "--handler", "conversation"});
  if (!group.take(server.echo.process.pid()) || !group.allow(server.threads() + places)) {
    BOOST_TEST_MESSAGE("no limit of tasks can be set here");
    return;
  }
  std::vector<Client> served = connect(server, places);
  for (const Client& client : served) BOOST_TEST(echoes(client));
  const std::vector<Client> late = connect(server, places + 5);
  for (const Client& client : late) {
    client.send("hello\n");
    client.end_output();
  }
  BOOST_TEST(server.counts("accepted", places + late.size()));
  for (const Client& client : served) BOOST_TEST(echoes(client));
  served.clear();
  for (const Client& client : late) BOOST_TEST(client.receive_to_end() == "hello\n");
  BOOST_TEST(server.stats()["dropped"] == 0U);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}
