// The demo server, from outside: clients that are slow, deaf or silent, and the other clients
// beside them.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

const std::array<std::string, 2> handlers{"request", "conversation"};

#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// The longest time that an honest client waits, whatever the others do.
constexpr auto promptly = sanitized ? 1000ms : 200ms;
constexpr std::size_t crowd = 200;

// Connects clients that have small receive buffers and small segments. They set these before they
// connect, because otherwise the kernel buffers megabytes of each answer.
std::vector<Descriptor> connect_deaf(const Survivor& server, std::size_t count) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.echo.line.port);
  std::vector<Descriptor> clients;
  for (std::size_t i = 0; i < count; ++i) {
    const Descriptor& client =
        clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int room = 4096;
    const int segment = 536;
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    ::setsockopt(client.get(), IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    BOOST_REQUIRE(
        ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  return clients;
}

// Sends as much as the kernel takes at once. Returns 0 if it takes nothing, or if the connection
// has ended.
std::size_t send_now(int client, std::string_view text) {
  const auto count = ::send(client, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

// An honest client, and the longest time that it ever waited.
class Canary {
 public:
  explicit Canary(const Survivor& server, Clock::duration patience = promptly)
      : client_(server.client()), patience_(patience) {
    BOOST_TEST(echoes(client_));
  }

  void sing() {
    const auto begin = Clock::now();
    BOOST_REQUIRE(echoes(client_));
    longest_ = std::max(longest_, Clock::now() - begin);
  }
  void leave() {
    client_.end_output();
    BOOST_TEST(client_.receive_to_end().empty());
    BOOST_TEST((longest_ < patience_), "it waited " << longest_ / 1ms << " ms");
  }

 private:
  Client client_;
  Clock::duration patience_;
  Clock::duration longest_{};
};

// Sends to clients that do not read the answers. Each one sends up to `most` bytes. The flood ends
// when the kernel has taken nothing for 300 ms, or after 1500 ms.
void flood(std::span<const Descriptor> clients, std::size_t most,
           const std::function<void()>& meanwhile) {
  std::string block;
  while (block.size() < 64'000) block += "as many lines as are taken, and none read\n";
  std::vector<std::size_t> left(clients.size(), most);
  const auto until = Clock::now() + 1500ms;
  for (auto last = Clock::now(); Clock::now() - last < 300ms && Clock::now() < until;) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::size_t sent = send_now(
          clients[i].get(), std::string_view(block).substr(0, std::min(left[i], block.size())));
      left[i] -= sent;
      if (sent > 0) last = Clock::now();
    }
    meanwhile();
    std::this_thread::sleep_for(1ms);
  }
}

bool all_echo(std::span<const Client> clients) {
  const std::vector<std::string> messages(clients.size(), "still here\n");
  return echo_all(clients, messages) == clients.size();
}

}  // namespace

// --- slow clients --------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(those_who_send_byte_by_byte_are_cut_and_cost_others_nothing, policies,
                     policy) {
  Words words{"--policy", policy, "--framing", "line", "--request-timeout", "0.6"};
  if (policy == "pool") words.insert(words.end(), {"--workers", "4"});
  Survivor server(words);
  Canary canary(server);
  {
    const std::vector<Client> slow = connect(server, crowd);
    auto next = Clock::now();
    for (const auto until = next + 1s; Clock::now() < until;) {
      if (Clock::now() >= next) {
        for (const Client& client : slow) send_now(client.fileno(), "x");
        next += 100ms;
      }
      canary.sing();
      std::this_thread::sleep_for(5ms);
    }
    for (const Client& client : slow) BOOST_TEST(client.receive_to_end().empty());
  }
  canary.leave();
  BOOST_TEST(server.counts("timed_out", crowd));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(the_limits_of_time_are_kept, policies* handlers, policy, handler) {
  Survivor server({"--policy", policy, "--handler", handler, "--framing", "line",
                   "--request-timeout", "0.4", "--idle-timeout", "0.3"});
  const Client idle = server.client();
  BOOST_TEST(echoes(idle));
  auto begin = Clock::now();
  const Client dripping = server.client();
  // This client is never silent for as long as the idle limit.
  pollfd polled{dripping.fileno(), POLLIN, 0};
  do {
    send_now(dripping.fileno(), "x");
  } while (::poll(&polled, 1, 50) == 0 && Clock::now() - begin < 5s);
  const auto dripped = Clock::now() - begin;
  BOOST_TEST((dripped > 350ms && dripped < 1500ms));
  BOOST_TEST(dripping.receive_to_end().empty());
  BOOST_TEST(idle.receive_to_end().empty());
  // A conversation whose client sends nothing more has failed to end in time.
  const std::uint64_t idle_ones = handler == "request" ? 1 : 0;
  BOOST_TEST(server.counts("closed_idle", idle_ones));
  BOOST_TEST(server.counts("timed_out", 2 - idle_ones));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- clients that do not read --------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(those_who_do_not_read_are_cut_and_cost_others_nothing, policies, policy) {
  Words words{"--policy", policy, "--send-timeout", "0.7"};
  if (policy == "pool") words.insert(words.end(), {"--workers", "4"});
  Survivor server(words);
  Canary canary(server);
  {
    const std::vector<Descriptor> deaf = connect_deaf(server, crowd);
    flood(deaf, 1'000'000, [&] { canary.sing(); });
    for (auto until = Clock::now() + 10s; server.stats().at("timed_out") < crowd;) {
      canary.sing();
      BOOST_REQUIRE((Clock::now() < until));
      std::this_thread::sleep_for(5ms);
    }
  }
  canary.leave();
  BOOST_TEST(server.stats().at("timed_out") == crowd);
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(those_who_ask_for_ever_and_do_not_read_take_bounded_memory,
                     data::make({"pool", "thread", "inline"}), policy) {
  // The input that is read ahead, and the answers that wait to be sent; then stacks and arenas.
  constexpr std::size_t bound = crowd * (64 + 256) + (sanitized ? 256 : 16) * 1024;
  Survivor server({"--policy", policy, "--framing", "line"});
  {
    const Client first = server.client();
    BOOST_TEST(echoes(first));
  }
  const std::size_t before = server.resident();
  {
    const std::vector<Descriptor> deaf = connect_deaf(server, crowd);
    flood(deaf, SIZE_MAX, [] {});
    const std::size_t grown = server.resident() - std::min(before, server.resident());
    BOOST_TEST(grown < bound, grown << " KiB");
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// --- greedy clients ------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(those_who_ask_for_ever_leave_others_their_turn, policies, policy) {
  std::string block;
  while (block.size() < 64'000) block += "the next before the answer to this\n";
  Survivor server({"--policy", policy, "--framing", "line"});
  Canary canary(server, 1s);
  {
    // More connections than the server looks for at a time. Where each connection has a thread, the
    // system schedules the threads, and fewer connections keep it as busy.
    const bool looked_for = policy == "pool" || policy == "inline";
    const std::vector<Client> greedy = connect(server, looked_for ? 100 : 20);
    std::vector<char> discarded(block.size());
    const std::jthread asking([&](const std::stop_token& enough) {
      while (!enough.stop_requested()) {
        for (const Client& client : greedy) {
          send_now(client.fileno(), block);
          ::recv(client.fileno(), discarded.data(), discarded.size(), MSG_DONTWAIT);
        }
      }
    });
    const auto begin = Clock::now();
    do {
      canary.sing();
    } while (Clock::now() - begin < 500ms);
  }
  canary.leave();
  server.common_end();
}

// --- silent clients ------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(a_thousand_silent_clients_cost_less_than_a_kibibyte_each,
                     data::make({"pool", "inline"}), policy) {
  constexpr std::size_t many = 1000;
  Survivor server({"--policy", policy});
  {
    // After these requests, threads, arenas and tables exist.
    const std::vector<Client> first = connect(server, 100);
    for (int i = 0; i < 10; ++i) BOOST_TEST(all_echo(first));
  }
  BOOST_TEST(server.counts("served", 100));
  const std::size_t before = server.resident();
  {
    const std::vector<Client> silent = connect(server, many);
    BOOST_TEST(all_echo(silent));
    BOOST_TEST(server.is_idle());
    const std::size_t after = server.resident();
    if (!sanitized) BOOST_TEST(after < before + many, after - before << " KiB");
    BOOST_TEST_MESSAGE("grown by " << after - before << " KiB");
    BOOST_TEST(all_echo(silent));
  }
  BOOST_TEST(server.counts("served", 100 + many));
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}
