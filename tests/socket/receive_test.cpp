// Receives that wait in recv(2) itself, under the kernel's timeout.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <future>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Deadline;
using net::Socket;
using net::TimeoutError;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

struct Pair {
  Pair() : Pair(net::socket_pair()) {}
  explicit Pair(std::pair<Socket, Socket> sockets)
      : left(std::move(sockets.first)), right(std::move(sockets.second)) {
    right.wait_in_receive(true);
  }
  Socket left;
  Socket right;  // waits in recv(2)
};

std::pair<Socket, Socket> tcp_pair() {
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  Socket client = net::create_connection(listener.getsockname());
  return {std::move(client), listener.accept().first};
}

std::size_t receive(Socket& socket) {
  std::array<std::byte, 8> into{};
  return socket.recv(into);
}

// Returns how long a receive takes to throw TimeoutError; forever if it does not.
Clock::duration time_to_time_out(Socket& socket) {
  const auto before = Clock::now();
  try {
    receive(socket);
  } catch (const TimeoutError&) {
    return Clock::now() - before;
  }
  return Clock::duration::max();
}

bool between(Clock::duration time, Clock::duration least, Clock::duration most = 5s) {
  return time >= least && time < most;
}

// Returns SO_RCVTIMEO of a descriptor, in microseconds; 0 is no timeout.
std::int64_t kernel_timeout(int descriptor) {
  timeval time{};
  socklen_t size = sizeof time;
  ::getsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, &size);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

void set_kernel_timeout(int descriptor, timeval time) {
  BOOST_TEST(::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_descriptor_has_no_timeout_unless_its_socket_waits_there, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  right.settimeout(30s);
  left.sendall(net::bytes("x"));
  BOOST_TEST(receive(right) == 1U);
  BOOST_TEST(kernel_timeout(right.fileno()) == 0);
  right.wait_in_receive(true);
  left.sendall(net::bytes("x"));
  BOOST_TEST(receive(right) == 1U);
  BOOST_TEST(kernel_timeout(right.fileno()) == 30'000'000);
  right.settimeout(10s);
  left.sendall(net::bytes("x"));
  BOOST_TEST(receive(right) == 1U);
  BOOST_TEST(kernel_timeout(right.fileno()) == 10'000'000);
  right.wait_in_receive(false);
  BOOST_TEST(kernel_timeout(right.fileno()) == 0);
}

BOOST_AUTO_TEST_CASE(what_comes_ends_the_wait, *timeout(10)) {
  Pair pair;
  for (const std::optional<Socket::Duration> limit :
       {std::optional<Socket::Duration>(), std::optional<Socket::Duration>(1h),
        std::optional<Socket::Duration>(Socket::Duration::max()),
        std::optional<Socket::Duration>(std::chrono::years(90))}) {
    pair.right.settimeout(limit);
    auto received = std::async(std::launch::async, [&] { return receive(pair.right); });
    BOOST_TEST((received.wait_for(20ms) == std::future_status::timeout));
    pair.left.sendall(net::bytes("abc"));
    BOOST_TEST(received.get() == 3U);
    BOOST_TEST((pair.right.last_receive() == Socket::Received::all));
  }
  pair.left.close();
  BOOST_TEST(receive(pair.right) == 0U);
  BOOST_TEST((pair.right.last_receive() == Socket::Received::end));
}

BOOST_AUTO_TEST_CASE(no_wait_ends_before_its_timeout, *timeout(20)) {
  Pair pair;
  for (const Socket::Duration limit :
       std::initializer_list<Socket::Duration>{1ns, 1us, 700us, 1ms, 5ms, 20ms, 999'999'999ns}) {
    pair.right.settimeout(limit);
    BOOST_TEST(between(time_to_time_out(pair.right), limit));
  }
}

BOOST_AUTO_TEST_CASE(a_timeout_of_zero_does_not_wait, *timeout(10)) {
  Pair pair;
  pair.right.settimeout(0ms);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { receive(pair.right); }));
  pair.left.sendall(net::bytes("x"));
  BOOST_TEST(receive(pair.right) == 1U);
}

BOOST_AUTO_TEST_CASE(deadlines_bound_it_as_well, *timeout(10)) {
  Pair pair;
  pair.right.settimeout(1h);
  pair.right.set_deadline(20ms);
  BOOST_TEST(between(time_to_time_out(pair.right), 19ms));
  pair.right.set_deadline(Deadline::never());
  pair.right.set_receive_deadline(20ms);
  BOOST_TEST(between(time_to_time_out(pair.right), 19ms));
  pair.right.set_receive_deadline(Deadline::never());
  pair.right.end_input_after(20ms);
  BOOST_TEST(receive(pair.right) == 0U);
}

BOOST_AUTO_TEST_CASE(a_non_blocking_descriptor_is_no_timeout, *timeout(10)) {
  Pair pair;
  const int flags = ::fcntl(pair.right.fileno(), F_GETFL);
  BOOST_TEST(::fcntl(pair.right.fileno(), F_SETFL, flags | O_NONBLOCK) == 0);
  pair.right.settimeout(50ms);
  BOOST_TEST(between(time_to_time_out(pair.right), 50ms));
  pair.right.settimeout(std::nullopt);
  auto received = std::async(std::launch::async, [&] { return receive(pair.right); });
  BOOST_TEST((received.wait_for(50ms) == std::future_status::timeout));
  pair.left.sendall(net::bytes("abc"));
  BOOST_TEST(received.get() == 3U);
}

BOOST_AUTO_TEST_CASE(a_kernel_timeout_of_somebody_else_is_none_of_ours, *timeout(10)) {
  Pair pair;
  pair.right.settimeout(60ms);
  BOOST_TEST(between(time_to_time_out(pair.right), 60ms));
  // The kernel's timeout is changed without the socket's knowledge.
  set_kernel_timeout(pair.right.fileno(), {.tv_sec = 0, .tv_usec = 1000});
  BOOST_TEST(between(time_to_time_out(pair.right), 60ms));
  // It is changed through the socket.
  const timeval time{.tv_sec = 7, .tv_usec = 0};
  pair.right.setsockopt(SOL_SOCKET, SO_RCVTIMEO, std::as_bytes(std::span(&time, 1)));
  BOOST_TEST(between(time_to_time_out(pair.right), 60ms));
  BOOST_TEST(kernel_timeout(pair.right.fileno()) == 7'000'000);
  const int descriptor = pair.right.detach();
  BOOST_TEST(kernel_timeout(descriptor) == 7'000'000);
  BOOST_CHECK_NO_THROW(Socket::adopt(descriptor));
}

BOOST_AUTO_TEST_CASE(whoever_gets_the_descriptor_gets_an_ordinary_one, *timeout(10)) {
  Pair pair;
  pair.right.settimeout(30s);
  pair.left.sendall(net::bytes("abcdefgh"));
  std::array<std::byte, 1> one{};
  pair.right.recv(one);
  BOOST_TEST(kernel_timeout(pair.right.fileno()) != 0);
  Socket copy = pair.right.dup();
  BOOST_TEST(kernel_timeout(copy.fileno()) == 0);
  // This does not change while the first socket uses its own timeout.
  pair.right.recv(one);
  BOOST_TEST(kernel_timeout(copy.fileno()) == 0);
  receive(pair.right);
  pair.right.settimeout(20ms);
  BOOST_TEST(between(time_to_time_out(pair.right), 20ms));

  Pair other;
  other.right.settimeout(30s);
  other.left.sendall(net::bytes("x"));
  receive(other.right);
  Socket moved = std::move(other.right);
  BOOST_TEST(kernel_timeout(moved.fileno()) != 0);
  const net::Descriptor detached(moved.detach());
  BOOST_TEST(kernel_timeout(detached.get()) == 0);
}

BOOST_AUTO_TEST_CASE(signals_neither_shorten_nor_lengthen_it, *timeout(10)) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, &before);
  const itimerval every{.it_interval = {0, 1000}, .it_value = {0, 1000}};
  ::setitimer(ITIMER_REAL, &every, nullptr);
  Pair pair;
  pair.right.settimeout(100ms);
  const auto took = time_to_time_out(pair.right);
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  BOOST_TEST(between(took, 100ms, 2s));
}

BOOST_AUTO_TEST_CASE(its_input_can_be_ended_from_elsewhere, *timeout(10)) {
  for (const bool tcp : {true, false}) {
    Pair pair(tcp ? tcp_pair() : net::socket_pair());
    pair.right.settimeout(1h);
    auto received = std::async(std::launch::async, [&] { return receive(pair.right); });
    BOOST_TEST((received.wait_for(20ms) == std::future_status::timeout));
    ::shutdown(pair.right.fileno(), SHUT_RD);
    BOOST_TEST(received.get() == 0U);
  }
}

BOOST_AUTO_TEST_CASE(its_wait_is_noted_while_it_lasts, *timeout(10)) {
  Pair pair;
  std::atomic<std::int64_t> since{0};
  pair.right.note_silence_in(&since);
  pair.right.settimeout(1h);
  auto received = std::async(std::launch::async, [&] { return receive(pair.right); });
  while (since == 0) std::this_thread::yield();
  const std::int64_t now = Clock::now().time_since_epoch().count();
  BOOST_TEST(since <= now);
  BOOST_TEST(now - since < 5'000'000'000);
  pair.left.sendall(net::bytes("abc"));
  BOOST_TEST(received.get() == 3U);
  BOOST_TEST(since == 0);
}

BOOST_AUTO_TEST_CASE(errors_are_told, *timeout(10)) {
  Pair pair(tcp_pair());
  pair.left.set_linger(0s);
  pair.left.close();
  BOOST_TEST(fails_with(std::errc::connection_reset, [&] { receive(pair.right); }));
  pair.right.close();
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&] { receive(pair.right); }));
}
