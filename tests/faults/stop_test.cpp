// The demo server, from outside: signals, restarts and dying children, while clients are connected.

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

namespace fs = std::filesystem;

#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr std::size_t senders = 10;
constexpr auto in_time = 5s;
#else
constexpr std::size_t senders = 30;
constexpr auto in_time = 1s;
#endif

template <class Server>
std::vector<Client> talking_clients(const Server& server, std::size_t count) {
  std::vector<Client> clients;
  clients.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(server.client());
    BOOST_REQUIRE(echoes(clients.back()));
  }
  return clients;
}

fs::path proc(pid_t process) { return fs::path("/proc") / std::to_string(process); }

// Returns the word after a name in a file below /proc.
std::string status(const fs::path& file, const std::string& name) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    if (word == name && lines >> word) return word;
  }
  return {};
}

bool is_zombie(pid_t process) { return status(proc(process) / "status", "State:") == "Z"; }

std::set<std::string> sockets_of(pid_t process) {
  std::set<std::string> found;
  std::error_code gone;
  for (const auto& descriptor : fs::directory_iterator(proc(process) / "fd", gone)) {
    const std::string target = fs::read_symlink(descriptor.path(), gone).string();
    if (target.starts_with("socket:")) found.insert(target);
  }
  return found;
}

}  // namespace

// --- stopping -----------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(idle_clients_that_have_spoken_do_not_hold_it_up, policies, policy) {
  Echo echo({"--policy", policy});
  const std::vector<Client> clients = talking_clients(echo, 20);
  const auto begin = Clock::now();
  BOOST_TEST(echo.stop() == 0);
  BOOST_TEST((Clock::now() - begin < in_time));
  for (const Client& client : clients) BOOST_TEST(client.receive_to_end().empty());
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(said.ends_with(": drained 0, closed idle 20, cut 0, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(all_that_have_begun_to_send_get_all_of_it_back, policies, policy) {
  constexpr std::size_t block = 64 * 1024;
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < senders; ++i) messages.push_back(pattern(16 * block, i));
  std::vector<std::string> received(senders);
  Echo echo({"--policy", policy});
  const std::vector<Client> clients = talking_clients(echo, senders);
  // One block of each client is always on its way.
  for (std::size_t i = 0; i < senders; ++i) clients[i].send(messages[i].substr(0, block));
  echo.process.signal(SIGTERM);
  for (std::size_t begin = block; begin < messages.front().size(); begin += block) {
    for (std::size_t i = 0; i < senders; ++i) {
      clients[i].send(messages[i].substr(begin, block));
      received[i] += clients[i].receive(block);
    }
  }
  for (std::size_t i = 0; i < senders; ++i) received[i] += clients[i].receive_to_end();
  BOOST_TEST((received == messages));
  BOOST_TEST(echo.process.wait() == 0);
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(said.ends_with("cut 0, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(who_is_not_ready_by_the_drain_time_out_is_cut_and_counted, policies, policy) {
  Echo echo({"--policy", policy, "--drain-timeout", "0.3"});
  std::vector<Client> deaf;
  for (int i = 0; i < 2; ++i) {
    deaf.push_back(echo.client());
    deaf.back().send_until_stuck();
  }
  const std::vector<Client> idle = talking_clients(echo, 3);
  const auto begin = Clock::now();
  BOOST_TEST(echo.stop() == 0);
  const auto lasted = Clock::now() - begin;
  BOOST_TEST((lasted >= 300ms && lasted < 300ms + in_time));
  for (const Client& client : deaf) client.receive_to_end();
  const std::string said = echo.process.rest_of_stderr();
  BOOST_TEST(said.ends_with(": drained 0, closed idle 3, cut 2, dropped 0, stuck 0\n"), said);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(it_can_be_started_again_at_once_on_its_port, policies, policy) {
  Echo first({"--policy", policy});
  const std::vector<Client> clients = talking_clients(first, 20);
  BOOST_TEST(first.stop() == 0);
  // The server closed first, so its ends stay in TIME_WAIT.
  for (const Client& client : clients) BOOST_TEST(client.receive_to_end().empty());
  Process second(demo({"echo", "--policy", policy, "--listen",
                       "tcp://127.0.0.1:" + std::to_string(first.line.port)}));
  BOOST_TEST(echoes(Line(second.read_line()).client()));
  second.signal(SIGTERM);
  BOOST_TEST(second.wait() == 0);
}

// --- signals ------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_storm_of_signals_harms_no_byte, policies, policy) {
  Survivor server({"--policy", policy});
  const std::vector<std::string> messages{pattern(1'000'000, 1), pattern(1'000'000, 2)};
  {
    const std::vector<Client> clients = talking_clients(server, 2);
    for (int signals = 0; signals < 2000;) {
      auto echoing = std::async(std::launch::async, [&] { return echo_all(clients, messages); });
      do {
        // Reads what the server prints, because its pipe would soon be full otherwise.
        server.stats();
        ++signals;
      } while (echoing.wait_for(0s) != std::future_status::ready || signals < 100);
      BOOST_TEST(echoing.get() == clients.size());
    }
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(every_thread_blocks_the_signals_that_one_waits_for, policies, policy) {
  Survivor server({"--policy", policy});
  const std::vector<Client> clients = talking_clients(server, 3);
  std::size_t waiting = 0;
  for (const auto& task : fs::directory_iterator(proc(server.echo.process.pid()) / "task")) {
    const auto blocked = std::stoull(status(task.path() / "status", "SigBlk:"), nullptr, 16);
    const auto blocks = [&](int signal) { return ((blocked >> (signal - 1)) & 1U) != 0; };
    // sigtimedwait(2) unblocks the signals that it waits for.
    const bool all = blocks(SIGTERM) && blocks(SIGINT) && blocks(SIGHUP) && blocks(SIGUSR1);
    if (!all) ++waiting;
  }
  BOOST_TEST(waiting <= 1);
}

// --- children -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(no_child_is_left_behind, *timeout(60)) {
  Survivor server({"--policy", "fork"});
  for (int round = 0; round < 10; ++round) {
    {
      const std::vector<Client> clients = talking_clients(server, 20);
    }
    BOOST_TEST(soon([&] { return std::ranges::none_of(server.child_processes(), is_zombie); }, 1s));
  }
  BOOST_TEST(soon([&] { return server.children() == 0; }));
  BOOST_TEST(server.counts("served", 200));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_AUTO_TEST_CASE(a_child_holds_its_own_connection_and_no_other_socket, *timeout(30)) {
  Survivor server({"--policy", "fork"});
  const std::set<std::string> listeners = sockets_of(server.echo.process.pid());
  BOOST_TEST(listeners.size() == 1);
  const std::vector<Client> clients = talking_clients(server, 5);
  const std::vector<pid_t> children = server.child_processes();
  BOOST_TEST(children.size() == clients.size());
  std::set<std::string> all = listeners;
  for (const pid_t child : children) {
    const std::set<std::string> held = sockets_of(child);
    BOOST_TEST(held.size() == 1);
    all.insert(held.begin(), held.end());
  }
  BOOST_TEST(all.size() == listeners.size() + clients.size());
}

BOOST_AUTO_TEST_CASE(a_client_sees_its_end_whatever_other_children_do, *timeout(30)) {
  Survivor server({"--policy", "fork"});
  std::vector<Client> clients = talking_clients(server, 5);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const auto begin = Clock::now();
    clients[i].end_output();
    BOOST_TEST(clients[i].receive_to_end().empty());
    BOOST_TEST((Clock::now() - begin < in_time));
    for (std::size_t other = i + 1; other < clients.size(); ++other) {
      BOOST_TEST(echoes(clients[other]));
    }
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_AUTO_TEST_CASE(a_child_that_is_killed_takes_its_own_client_with_it, *timeout(30)) {
  Survivor server({"--policy", "fork"});
  std::vector<Client> clients;
  clients.push_back(server.client());
  BOOST_TEST(echoes(clients.front()));
  const std::vector<pid_t> first = server.child_processes();
  BOOST_TEST_REQUIRE(first.size() == 1U);
  clients.push_back(server.client());
  BOOST_TEST(echoes(clients.back()));
  BOOST_TEST(::kill(first.front(), SIGKILL) == 0);
  BOOST_TEST(clients.front().receive_to_end().empty());
  BOOST_TEST(echoes(clients.back()));
  BOOST_TEST(server.counts("failed", 1));
  clients.clear();
  BOOST_TEST(server.counts("served", 1));
  server.common_end();
}
