// A child with a wild pointer into the memory that it shares with its server.

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "support/forked.hpp"
#include "support/server_test.hpp"

namespace {

using Forking = net::ForkPerRequest;
using Fill = std::function<void(std::span<std::uint32_t>)>;

// Overwrites the writable memory that this process shares with others.
void fill_shared_memory(const Fill& fill) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string rights;
    words >> std::hex >> begin >> dash >> end >> rights;
    if (rights != "rw-s") continue;
    fill(std::span(reinterpret_cast<std::uint32_t*>(begin), (end - begin) / sizeof(std::uint32_t)));
  }
}

Fill bytes_of(int value) {
  return [value](std::span<std::uint32_t> words) {
    std::memset(words.data(), value, words.size_bytes());
  };
}

Fill words_of(std::uint32_t value) {
  return [value](std::span<std::uint32_t> words) { std::ranges::fill(words, value); };
}

Fill random(unsigned seed) {
  return [seed](std::span<std::uint32_t> words) {
    std::mt19937 generator(seed);
    std::ranges::generate(words, generator);
  };
}

// Answers, or overwrites the shared memory and then ends or stays.
struct Wild : net::StreamRequestHandler {
  explicit Wild(const Fill& what) : fill(what) {}
  net::Next handle() {
    answer(rfile.read_some());
    return net::Next::keep;
  }
  void answer(std::string_view text) {
    if (!text.starts_with("fill")) return wfile.write(text);
    const bool ends = text == "fill and end";
    fill_shared_memory(fill);
    if (ends) ::_exit(1);
    wfile.write("done");
    for (;;) ::pause();
  }
  const Fill& fill;
};

struct WildConversation : Wild {
  using Wild::Wild;
  void handle() {
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) answer(text);
  }
};

template <class Handler>
void try_one(const Fill& fill, support::Forked& stranger) {
  QuietHooks hooks;
  net::TcpServer<Handler, Forking> server{loopback(), quick(), hooks,
                                          [&] { return Handler(fill); }};
  Running running{server};
  Client bystander{server};
  BOOST_TEST(bystander.ask("hello") == "hello");
  Client stays{server};
  stays.send("fill and stay");
  BOOST_TEST(stays.receive(4) == "done");
  {
    Client ends{server};
    ends.send("fill and end");
    BOOST_TEST(ends.is_closed());
  }
  BOOST_TEST(soon([&] { return server.stats().failed == 1; }));
  BOOST_TEST(bystander.ask("still here") == "still here");
  for (int i = 0; i < 3; ++i) {
    Client fresh{server};
    BOOST_TEST(fresh.ask("hello") == "hello");
    fresh.end_sending();
    BOOST_TEST(fresh.sees_end());
  }
  BOOST_TEST(soon([&] { return server.stats().served == 3; }));
  BOOST_TEST(server.stats().requests < std::uint64_t{1} << 49U);
  const net::Deadline in_time(2s);
  const net::DrainReport report = running.stop(500ms);
  BOOST_TEST(!in_time.passed());
  BOOST_TEST(report.stuck == 0U);
  BOOST_TEST(report.cut == 1U);
  BOOST_TEST(server.stats().failed == 1U);
  BOOST_TEST(stranger.runs());
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_fork_page, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_child_that_overwrites_shared_memory_hurts_nobody_else, *timeout(60)) {
  support::Forked stranger(::pause);
  const auto process = static_cast<std::uint32_t>(stranger.process());
  const std::vector<std::pair<const char*, Fill>> fills = {
      {"zeros", bytes_of(0)},
      {"ones", bytes_of(1)},
      {"the greatest numbers", bytes_of(0x7f)},
      {"negative numbers", bytes_of(0xff)},
      {"a process", words_of(process)},
      {"one thing", random(1)},
      {"another", random(2)},
  };
  for (const auto& [name, fill] : fills) {
    BOOST_TEST_CONTEXT(name) {
      try_one<Wild>(fill, stranger);
      try_one<WildConversation>(fill, stranger);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
