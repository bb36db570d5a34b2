#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Deadline;
using net::Socket;
using net::TimeoutError;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

void receive(Socket& socket) {
  std::array<std::byte, 1> into{};
  socket.recv(into);
}

void fill(Socket& socket) {
  const std::vector<std::byte> block(65536);
  while (socket.try_send(block)) {
  }
}

template <class Call>
Clock::duration time_of(Call&& call) {
  const auto before = Clock::now();
  call();
  return Clock::now() - before;
}

// Returns how long a call takes to throw TimeoutError; forever if it does not.
template <class Call>
Clock::duration time_to_time_out(Call&& call) {
  const auto before = Clock::now();
  try {
    call();
  } catch (const TimeoutError& error) {
    BOOST_TEST((error.code() == std::errc::timed_out));
    return Clock::now() - before;
  }
  return Clock::duration::max();
}

bool between(Clock::duration time, Clock::duration least, Clock::duration most = 5s) {
  return time >= least && time < most;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_socket_waits_for_ever_unless_told_otherwise, *timeout(10)) {
  Socket socket(net::Family::ipv4);
  BOOST_TEST((socket.gettimeout() == std::nullopt));
  BOOST_TEST(socket.deadline().is_never());
  socket.settimeout(5s);
  BOOST_TEST((socket.gettimeout() == 5s));
  socket.settimeout(1s, 2s);
  BOOST_TEST((socket.gettimeout() == 1s));
  socket.settimeout(std::nullopt);
  BOOST_TEST((socket.gettimeout() == std::nullopt));
}

BOOST_AUTO_TEST_CASE(a_negative_time_is_refused, *timeout(10)) {
  Socket socket(net::Family::ipv4);
  const auto refused = [](auto call) { return fails_with(std::errc::invalid_argument, call); };
  BOOST_TEST(refused([&] { socket.settimeout(-1ns); }));
  BOOST_TEST(refused([&] { socket.settimeout(1s, -1h); }));
  BOOST_TEST(refused([&] { socket.settimeout(Socket::Duration::min(), 1s); }));
  BOOST_TEST(refused([&] { socket.end_input_after(-1ns); }));
  BOOST_TEST((socket.gettimeout() == std::nullopt));
  BOOST_TEST(refused([&] { socket.set_linger(-1s); }));
  BOOST_TEST((socket.get_linger() == std::nullopt));
  BOOST_CHECK_NO_THROW(socket.settimeout(Socket::Duration::max()));
}

BOOST_AUTO_TEST_CASE(a_timeout_of_zero_does_not_wait_and_is_no_timeout_error, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  fill(left);
  for (Socket* socket : {&left, &right, &listener}) socket->settimeout(0ms);
  const auto would_block = std::errc::operation_would_block;
  BOOST_TEST(fails_with(would_block, [&] { listener.accept(); }));
  BOOST_TEST(fails_with(would_block, [&] { receive(left); }));
  BOOST_TEST(fails_with(would_block, [&] { left.send(net::bytes("x")); }));
  BOOST_TEST(fails_with(would_block, [&] { left.sendall(net::bytes("x")); }));
  BOOST_CHECK_NO_THROW(receive(right));
}

BOOST_AUTO_TEST_CASE(each_operation_past_its_timeout_throws_timeout_error, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  fill(left);
  for (Socket* socket : {&left, &listener}) socket->settimeout(20ms);
  BOOST_TEST(between(time_to_time_out([&] { listener.accept(); }), 20ms));
  BOOST_TEST(between(time_to_time_out([&] { receive(left); }), 20ms));
  BOOST_TEST(between(time_to_time_out([&] { receive(left); }), 20ms));
  BOOST_TEST(between(time_to_time_out([&] { left.send(net::bytes("x")); }), 20ms));
  BOOST_TEST(between(time_to_time_out([&] { left.sendall(net::bytes("x")); }), 20ms));
}

BOOST_AUTO_TEST_CASE(receiving_and_sending_have_timeouts_of_their_own, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  fill(left);
  left.settimeout(0ms, 20ms);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { receive(left); }));
  BOOST_TEST(between(time_to_time_out([&] { left.send(net::bytes("x")); }), 20ms));
  left.settimeout(20ms, 0ms);
  BOOST_TEST(between(time_to_time_out([&] { receive(left); }), 20ms));
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { left.send(net::bytes("x")); }));
}

BOOST_AUTO_TEST_CASE(a_timeout_may_be_longer_than_poll_can_wait, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.end_input_after(1ms);
  for (const std::chrono::nanoseconds wait :
       {std::chrono::nanoseconds::max(), std::chrono::nanoseconds(std::chrono::years(90))}) {
    left.settimeout(wait);
    BOOST_CHECK_NO_THROW(receive(left));
  }
}

BOOST_AUTO_TEST_CASE(sendall_to_a_peer_that_does_not_read_times_out, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const std::vector<std::byte> block(4UL * 1024 * 1024);
  BOOST_TEST(between(time_to_time_out([&] { left.sendall(block, 20ms); }), 20ms));
}

BOOST_AUTO_TEST_CASE(sendall_bounds_all_of_its_waits_together, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  auto [stop, stopped] = net::socket_pair();
  // The peer reads a little every few milliseconds, so no single wait of the sender is long.
  std::thread reader([&] {
    std::vector<std::byte> into(65536);
    while (!stopped.wait_to_receive(3ms)) right.try_recv(into);
  });
  const std::vector<std::byte> block(64UL * 1024 * 1024);
  BOOST_TEST(between(time_to_time_out([&] { left.sendall(block, 50ms); }), 50ms, 2s));
  left.settimeout(50ms);
  BOOST_TEST(between(time_to_time_out([&] { left.sendall(block); }), 50ms, 2s));
  stop.close();
  reader.join();
}

BOOST_AUTO_TEST_CASE(a_deadline_bounds_operations_together, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  fill(left);
  left.settimeout(1h);
  left.set_deadline(30ms);
  BOOST_TEST(between(time_to_time_out([&] { receive(left); }), 20ms));
  // After the deadline, no call waits.
  const auto time = time_of([&] {
    for (int turn = 0; turn < 200; ++turn) BOOST_CHECK_THROW(receive(left), TimeoutError);
  });
  BOOST_TEST((time < 3s));
  BOOST_CHECK_THROW(left.send(net::bytes("x")), TimeoutError);
  BOOST_CHECK_THROW(left.sendall(net::bytes("x"), Deadline::never()), TimeoutError);
}

BOOST_AUTO_TEST_CASE(what_is_here_is_received_after_the_deadline_too, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.sendall(net::bytes("x"));
  right.set_deadline(Deadline(-1s));
  BOOST_CHECK_NO_THROW(receive(right));
  BOOST_CHECK_THROW(receive(right), TimeoutError);
}

BOOST_AUTO_TEST_CASE(the_earliest_limit_counts, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  right.settimeout(20ms);
  right.set_deadline(1h);
  BOOST_TEST(between(time_to_time_out([&] { receive(right); }), 20ms));
  right.settimeout(1h);
  right.set_deadline(Deadline::never());
  right.set_receive_deadline(20ms);
  BOOST_TEST(between(time_to_time_out([&] { receive(right); }), 10ms));
}

BOOST_AUTO_TEST_CASE(a_deadline_of_receives_leaves_sends_alone, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  fill(left);
  left.set_receive_deadline(Deadline(-1s));
  left.settimeout(20ms);
  BOOST_TEST(between(time_to_time_out([&] { left.send(net::bytes("x")); }), 20ms));
  BOOST_CHECK_THROW(receive(left), TimeoutError);
}

BOOST_AUTO_TEST_CASE(a_wait_to_receive_ends_at_its_deadline, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  BOOST_TEST(between(time_of([&] { BOOST_TEST(!right.wait_to_receive(20ms)); }), 19ms));
}

BOOST_AUTO_TEST_CASE(silence_ends_the_input_if_it_is_told_to, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  right.end_input_after(20ms);
  left.sendall(net::bytes("ab"));
  std::array<std::byte, 8> into{};
  BOOST_TEST(right.recv(into) == 2U);
  BOOST_TEST(between(time_of([&] { BOOST_TEST(right.recv(into) == 0U); }), 19ms));
  BOOST_TEST((right.last_receive() == Socket::Received::end));
  BOOST_TEST(!right.wait_to_receive(Deadline::never()));
}

BOOST_AUTO_TEST_CASE(silence_ends_no_send, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  left.end_input_after(0ms);
  fill(left);
  left.settimeout(20ms);
  BOOST_TEST(between(time_to_time_out([&] { left.send(net::bytes("x")); }), 20ms));
}

BOOST_AUTO_TEST_CASE(a_timeout_before_the_silence_is_long_enough_is_a_timeout, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  right.end_input_after(1h);
  right.settimeout(20ms);
  BOOST_TEST(between(time_to_time_out([&] { receive(right); }), 20ms));
}
