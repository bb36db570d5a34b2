#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <future>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Socket;
using namespace std::chrono_literals;

namespace {

std::atomic<int> handled{0};

extern "C" void count_signal(int) { handled.fetch_add(1); }

// Makes a signal interrupt system calls, and counts it, while an object of this class exists.
class Handler {
 public:
  explicit Handler(int signal) : signal_(signal) {
    handled = 0;
    struct sigaction action{};
    action.sa_handler = &count_signal;  // no SA_RESTART
    ::sigaction(signal_, &action, &before_);
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { ::sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_{};
};

// Sends SIGUSR1 to two threads in turn until one of them is done.
class Pelting {
 public:
  Pelting(std::thread& one, std::thread& other)
      : thread_([this, first = one.native_handle(), second = other.native_handle()] {
          while (!over_) {
            ::pthread_kill(first, SIGUSR1);
            ::pthread_kill(second, SIGUSR1);
            ::sched_yield();
          }
        }) {}
  Pelting(const Pelting&) = delete;
  Pelting& operator=(const Pelting&) = delete;
  // The threads may have ended by then, but must not have been joined.
  ~Pelting() {
    over_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

// Interrupts a thread until it has handled this many more signals.
void interrupt(std::thread& thread, int times) {
  for (int turn = 0; turn < times; ++turn) {
    const int before = handled;
    ::pthread_kill(thread.native_handle(), SIGUSR1);
    // A thread that failed has ended, and handles no signal.
    const net::Deadline limit = 5s;
    while (handled == before) {
      if (limit.passed()) return;
      ::sched_yield();
    }
  }
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(at % 251);
  return bytes;
}

struct sigaction disposition(int signal) {
  struct sigaction action{};
  ::sigaction(signal, nullptr, &action);
  return action;
}

}  // namespace

BOOST_AUTO_TEST_CASE(sixteen_mebibytes_arrive_whole_under_a_rain_of_signals, *timeout(60)) {
  const Handler handler(SIGUSR1);
  const auto sent = pattern(16UL * 1024 * 1024);
  std::vector<std::byte> received(sent.size() + 1);
  std::size_t count = 0;
  std::atomic<int> done{0};
  std::promise<void> over;
  const auto finish = [&] {
    if (++done == 2) over.set_value();
  };
  std::exception_ptr error;
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  const auto address = listener.getsockname();

  std::thread server([&] {
    try {
      Socket connection = listener.accept().first;
      for (std::size_t some = 1; some != 0; count += some) {
        some = connection.recv(std::span(received).subspan(count).first(
            std::min<std::size_t>(received.size() - count, 40'000)));
      }
    } catch (...) {
      error = std::current_exception();
    }
    finish();
  });
  // The server is in accept, or about to call it, and no client connects yet.
  interrupt(server, 50);
  std::thread client([&] {
    try {
      Socket connection = net::create_connection(address);
      connection.sendall(std::span(sent).first(sent.size() / 2));
      auto rest = std::span(sent).subspan(sent.size() / 2);
      while (!rest.empty()) rest = rest.subspan(connection.send(rest));
    } catch (...) {
      error = std::current_exception();
    }
    finish();
  });
  {
    const Pelting pelting(server, client);
    over.get_future().wait();
  }
  server.join();
  client.join();
  if (error) std::rethrow_exception(error);
  BOOST_TEST(count == sent.size());
  received.resize(count);
  BOOST_TEST((received == sent));
  BOOST_TEST(handled > 10);
}

BOOST_AUTO_TEST_CASE(a_receive_that_waits_survives_signals, *timeout(10)) {
  const Handler handler(SIGUSR1);
  auto [left, right] = net::socket_pair();
  std::array<std::byte, 8> into{};
  std::size_t count = 0;
  std::thread receiver([&] { count = right.recv(into); });
  interrupt(receiver, 100);
  left.sendall(net::bytes("here"));
  receiver.join();
  BOOST_TEST(count == 4U);
}

BOOST_AUTO_TEST_CASE(signals_neither_shorten_nor_prolong_a_timeout, *timeout(10)) {
  const Handler handler(SIGUSR1);
  auto [left, right] = net::socket_pair();
  right.settimeout(80ms);
  std::atomic<bool> timed_out{false};
  std::chrono::steady_clock::duration time{};
  std::thread receiver([&] {
    const auto before = std::chrono::steady_clock::now();
    std::array<std::byte, 1> into{};
    try {
      right.recv(into);
    } catch (const net::TimeoutError&) {
      time = std::chrono::steady_clock::now() - before;
      timed_out = true;
    }
  });
  // If each signal restarted the timeout, this would never end.
  while (!timed_out) interrupt(receiver, 1);
  receiver.join();
  BOOST_TEST((time >= 80ms));
  BOOST_TEST((time < 5s));
}

BOOST_AUTO_TEST_CASE(a_send_to_a_closed_peer_raises_no_signal, *timeout(10)) {
  const Handler handler(SIGPIPE);
  auto [left, right] = net::socket_pair();
  right.close();
  const auto text = net::bytes("x");
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { left.send(text); }));
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { left.try_send(text); }));
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { left.sendall(text); }));
  BOOST_TEST(handled == 0);
  BOOST_TEST((disposition(SIGPIPE).sa_handler == &count_signal));
}

BOOST_AUTO_TEST_CASE(no_disposition_and_no_mask_is_changed, *timeout(10)) {
  const auto before = disposition(SIGPIPE);
  sigset_t mask_before{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_before);
  auto [left, right] = net::socket_pair();
  left.sendall(net::bytes("x"));
  right.close();
  BOOST_TEST(fails_with(std::errc::connection_reset, [&] {
    std::array<std::byte, 1> into{};
    left.recv(into);
  }));
  BOOST_TEST(fails_with(std::errc::broken_pipe, [&] { left.sendall(net::bytes("x")); }));
  sigset_t mask{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  BOOST_TEST((disposition(SIGPIPE).sa_handler == before.sa_handler));
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    BOOST_TEST(::sigismember(&mask, signal) == ::sigismember(&mask_before, signal));
  }
}
