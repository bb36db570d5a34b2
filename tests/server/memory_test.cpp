// Lack of memory: each allocation of the server fails once, and costs one connection at most.

#include <cstdlib>
#include <new>

#include "support/server_test.hpp"

namespace {

// The number of allocations by serving threads that still succeed before one fails. If it is
// negative, all succeed.
std::atomic<long> left{-1};
std::atomic<bool> failed{false};
// The allocations of the test's own threads do not fail.
thread_local bool spared = false;

bool fails() noexcept {
  if (spared || left.load(std::memory_order_relaxed) < 0) return false;
  if (left.fetch_sub(1) != 0) return false;
  failed = true;
  return true;
}

void* allocate(std::size_t size) {
  void* const memory = fails() ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

struct Spared {
  Spared() noexcept { spared = true; }
  Spared(const Spared&) = delete;
  Spared& operator=(const Spared&) = delete;
  ~Spared() { spared = false; }
};

// Keeps state, so that handlers allocate as well.
struct Remembering : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    all += std::string(rfile.read_line().value_or(""));
    wfile.write(all);
    return net::Next::keep;
  }
  std::string all;
};

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return fails() ? nullptr : std::malloc(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return fails() ? nullptr : std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

BOOST_FIXTURE_TEST_SUITE(server_memory, LeavesNothing)

// A forked child has a copy of the counter, so its failures do not change that of another process.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_allocation_that_fails_costs_one_connection_at_most, Policy,
                              Policies) {
  const Spared test;
  QuietHooks hooks;
  net::TcpServer<Remembering, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  const std::string line(600, 'x');
  const auto talk = [&] {
    Client client{server};
    try {
      if (client.ask(line + "\n") != line + "\n") return false;
      client.send("more\n" + line);
      client.end_sending();
      return client.receive_all() == line + "\nmore\n" + line + "\nmore\n" + line;
    } catch (const std::system_error&) {
      return false;
    }
  };
  BOOST_TEST(talk());
  int broken = 0;
  for (long successes = 0; successes < 200; ++successes) {
    failed = false;
    left = successes;
    if (!talk()) ++broken;
    left = -1;
    BOOST_TEST(talk(), "after allocation " << successes);
    if (!failed) break;
  }
  BOOST_TEST(broken > 0);
}

BOOST_AUTO_TEST_SUITE_END()
