// Clients that do at random whatever clients do, all at once, while a canary must be answered.
//
//     NETSERVE_CHAOS_SECONDS   how long, for each row; 1 unless given
//     NETSERVE_CHAOS_SEED      what a run that failed printed, to do the same again

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/survivor.hpp"

namespace {

using namespace std::chrono_literals;
using namespace support;
using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;

// Under a sanitizer a fork alone takes tens of milliseconds: there, the canary only keeps coming.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool punctual = false;
#else
constexpr bool punctual = true;
#endif
constexpr auto canary_patience = 1s;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::stoull(text) : otherwise;
}

std::uint64_t below(Random& random, std::uint64_t bound) {
  return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random);
}

// What a client sends: any byte tells its place, and lines are short.
char letter(std::uint64_t client, std::uint64_t place) {
  if (place % 97 == 96) return '\n';
  return static_cast<char>('a' + ((place + client * 7919) * 2654435761U >> 11) % 26);
}

// A client with moods.
class Wild {
 public:
  Wild(const Line& server, std::uint64_t number, Random& random)
      : server_(server), number_(number), random_(random) {}

  pollfd interest() const noexcept {
    const int events = (talks_ && !ended_ ? POLLOUT : 0) | (listens_ ? POLLIN : 0);
    return {client_ ? client_->fileno() : -1, static_cast<short>(events), 0};
  }

  void go_on(short ready, Clock::time_point now) {
    if (!client_) {
      connect(now);
      return;
    }
    if ((ready & POLLOUT) != 0 && !talk()) return leave();
    // What is told without being asked for is an end, which a deaf client has not heard yet.
    if ((ready & POLLIN) != 0 && !listen()) return leave();
    if (now >= mood_until_) change_mood(now);
  }

  bool wrong() const noexcept { return wrong_; }

 private:
  void connect(Clock::time_point now) {
    try {
      client_ = std::make_unique<Client>(server_.host, server_.port);
    } catch (const std::system_error&) {
      return;  // the kernel's queue may be full of those who have left already; another time
    }
    sent_ = received_ = 0;
    ended_ = false;
    if (below(random_, 4) == 0) {
      const int small = 4096;
      ::setsockopt(client_->fileno(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    change_mood(now);
  }

  void change_mood(Clock::time_point now) {
    mood_until_ = now + std::chrono::milliseconds(below(random_, 300));
    talks_ = listens_ = true;
    switch (below(random_, 16)) {
      case 0: return reset();
      case 1: return leave();
      case 2:
        ended_ = true;
        ::shutdown(client_->fileno(), SHUT_WR);
        break;
      case 3:
      case 4: listens_ = false; break;
      case 5:
      case 6: talks_ = false; break;
      case 7:
        talks_ = listens_ = false;
        mood_until_ += std::chrono::milliseconds(below(random_, 2000));
        break;
      default: break;
    }
  }

  // False if the connection is over.
  bool talk() {
    std::array<char, 16384> block;  // NOLINT(*-member-init): filled next
    const std::size_t size =
        below(random_, 3) == 0 ? 1 + below(random_, block.size()) : 1 + below(random_, 200);
    for (std::size_t i = 0; i < size; ++i) block.at(i) = letter(number_, sent_ + i);
    const auto count = ::send(client_->fileno(), block.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN;
    sent_ += static_cast<std::uint64_t>(count);
    return true;
  }

  bool listen() {
    std::array<char, 16384> block;  // NOLINT(*-member-init): recv fills it
    const std::size_t room = 1 + below(random_, block.size());
    const auto count = ::recv(client_->fileno(), block.data(), room, MSG_DONTWAIT);
    if (count <= 0) return count < 0 && errno == EAGAIN;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (received_ == sent_ || block.at(i) != letter(number_, received_)) wrong_ = true;
      ++received_;
    }
    return true;
  }

  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client_->fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    leave();
  }

  void leave() { client_.reset(); }

  const Line& server_;
  const std::uint64_t number_;
  Random& random_;
  std::unique_ptr<Client> client_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  Clock::time_point mood_until_;
  bool talks_ = true;
  bool listens_ = true;
  bool ended_ = false;
  bool wrong_ = false;
};

// Comes again and again for one answer, and keeps the longest time that it took.
class Canary {
 public:
  explicit Canary(const Line& server) : thread_([this, &server] { sing(server); }) {}
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;
  ~Canary() { join(); }

  void join() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Clock::duration longest() const noexcept { return longest_; }
  bool answered() const noexcept { return answered_; }

 private:
  void sing(const Line& server) {
    while (!stopped_) {
      const auto begin = Clock::now();
      try {
        const Client client = server.client();
        if (!echoes(client, "canary\n")) answered_ = false;
      } catch (const std::exception& error) {
        std::cerr << "the canary: " << error.what() << '\n';
        if (punctual) answered_ = false;
      }
      longest_ = std::max(longest_, Clock::now() - begin);
      std::this_thread::sleep_for(5ms);
    }
  }

  std::atomic<bool> stopped_{false};
  Clock::duration longest_{};
  bool answered_ = true;
  std::thread thread_;
};

const std::vector<std::string> rows{
    "pool",
    "thread",
    "fork",
    "inline",
    "pool --framing line",
    "inline --framing line",
    "thread --handler conversation",
    "fork --handler conversation --framing line",
    "pool --max-connections 40 --overload evict-idle",
    "pool --max-connections 190",
};

Words words_of(const std::string& row) {
  Words words{"--policy"};
  std::istringstream text(row);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

}  // namespace

BOOST_DATA_TEST_CASE(a_canary_is_answered_amid_chaos, rows, row) {
  const auto seed = number_from("NETSERVE_CHAOS_SEED", std::random_device{}());
  const auto seconds = std::chrono::seconds(number_from("NETSERVE_CHAOS_SECONDS", 1));
  std::cout << "chaos: " << row << ", seed " << seed << std::endl;
  Random random(seed);
  Words arguments = words_of(row);
  arguments.insert(arguments.end(),
                   {"--idle-timeout", "1", "--request-timeout", "1", "--send-timeout", "1"});
  Survivor survivor(arguments);
  {
    std::vector<Wild> clients;
    // A fork takes a sanitizer tens of milliseconds: more clients would only fill its queue.
    const std::uint64_t most = punctual ? 150 : 40;
    for (std::uint64_t number = 0; number < most; ++number) {
      clients.emplace_back(survivor.echo.line, number, random);
    }
    Canary canary(survivor.echo.line);
    std::vector<pollfd> polled(clients.size());
    auto next_look = Clock::now();
    for (const auto end = Clock::now() + seconds; Clock::now() < end;) {
      std::ranges::transform(clients, polled.begin(), &Wild::interest);
      ::poll(polled.data(), polled.size(), 10);
      const auto now = Clock::now();
      for (std::size_t i = 0; i < clients.size(); ++i) {
        clients.at(i).go_on(polled.at(i).revents, now);
      }
      if (now < next_look) continue;
      next_look = now + 200ms;
      const auto stats = survivor.stats();
      BOOST_TEST(stats.at("accepted") >= stats.at("served") + stats.at("shed"));
    }
    canary.join();
    BOOST_TEST(canary.answered());
    const auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(canary.longest());
    std::cout << "chaos: " << row << ": the canary's longest wait: " << longest.count() << " ms; "
              << survivor.stats().at("accepted") << " connections, "
              << survivor.stats().at("requests") << " requests" << std::endl;
    if (punctual) BOOST_TEST((longest <= canary_patience));
    BOOST_TEST(std::ranges::none_of(clients, &Wild::wrong));
  }
  survivor.common_end();
  BOOST_TEST(survivor.complaints() == "");
}
