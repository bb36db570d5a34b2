#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

import net.handler;

using boost::unit_test::timeout;
using net::BufferedStream;
using net::Deadline;
using net::StreamReader;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// A peer that sends a byte every few milliseconds, so that no single wait is long.
class Trickle {
 public:
  explicit Trickle(net::Socket peer)
      : peer_(std::move(peer)), stop_(net::socket_pair()), thread_([this] {
          while (!stop_.first.wait_to_receive(3ms)) peer_.try_send(net::bytes("x"));
        }) {}
  Trickle(const Trickle&) = delete;
  Trickle& operator=(const Trickle&) = delete;
  ~Trickle() {
    stop_.second.close();
    thread_.join();
  }

 private:
  net::Socket peer_;
  std::pair<net::Socket, net::Socket> stop_;
  std::thread thread_;
};

void check_rest_limit(const std::function<void(StreamReader&)>& read) {
  auto [peer, socket] = net::socket_pair();
  socket.settimeout(1s);
  BufferedStream stream(std::move(socket));
  stream.set_rest_limit(50ms);
  StreamReader reader(stream);
  const Trickle trickle(std::move(peer));
  const auto before = Clock::now();
  BOOST_CHECK_THROW(read(reader), net::TimeoutError);
  const auto time = Clock::now() - before;
  BOOST_TEST((time >= 50ms));
  BOOST_TEST((time < 5s));
  BOOST_TEST((stream.socket().gettimeout() == 1s));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_line_that_trickles_past_the_rest_limit_times_out, *timeout(20)) {
  check_rest_limit([](StreamReader& reader) { reader.read_line(); });
}

BOOST_AUTO_TEST_CASE(a_block_that_trickles_past_the_rest_limit_times_out, *timeout(20)) {
  check_rest_limit([](StreamReader& reader) { reader.read_exactly(1'000'000); });
  check_rest_limit([](StreamReader& reader) {
    static std::array<std::byte, 1'000'000> into;
    reader.read_exactly(into);
  });
}

BOOST_AUTO_TEST_CASE(the_first_byte_is_not_bound_by_the_rest_limit, *timeout(10)) {
  auto [peer, socket] = net::socket_pair();
  socket.settimeout(40ms);
  BufferedStream stream(std::move(socket));
  stream.set_rest_limit(1ms);
  StreamReader reader(stream);
  const auto before = Clock::now();
  BOOST_CHECK_THROW(reader.read_line(), net::TimeoutError);
  BOOST_TEST((Clock::now() - before >= 40ms));
}

BOOST_AUTO_TEST_CASE(the_rest_limit_ends_with_the_read, *timeout(10)) {
  auto [peer, socket] = net::socket_pair();
  BufferedStream stream(std::move(socket));
  stream.set_rest_limit(10ms);
  StreamReader reader(stream);
  peer.sendall(net::bytes("part"));
  BOOST_CHECK_THROW(reader.read_line(), net::TimeoutError);
  // The socket's own timeout applies again, and each read has a limit of its own.
  stream.socket().settimeout(30ms);
  std::array<std::byte, 1> into{};
  const auto before = Clock::now();
  BOOST_CHECK_THROW(stream.socket().recv(into), net::TimeoutError);
  BOOST_TEST((Clock::now() - before >= 30ms));
  peer.sendall(net::bytes("\n"));
  BOOST_TEST(reader.read_line().value() == "part\n");
}

BOOST_AUTO_TEST_CASE(without_a_rest_limit_the_timeout_alone_counts, *timeout(10)) {
  auto [peer, socket] = net::socket_pair();
  socket.settimeout(20ms);
  BufferedStream stream(std::move(socket));
  StreamReader reader(stream);
  peer.sendall(net::bytes("part"));
  const auto before = Clock::now();
  BOOST_CHECK_THROW(reader.read_line(), net::TimeoutError);
  BOOST_TEST((Clock::now() - before >= 20ms));
}

BOOST_AUTO_TEST_CASE(one_limit_spans_the_receives_of_one_read, *timeout(10)) {
  auto [peer, socket] = net::socket_pair();
  BufferedStream stream(std::move(socket));
  stream.set_rest_limit(1h);
  Deadline whole;
  peer.sendall(net::bytes("a"));
  BOOST_TEST(stream.receive_rest(whole));
  const Deadline first = whole;
  BOOST_TEST(!first.is_never());
  peer.sendall(net::bytes("b"));
  BOOST_TEST(stream.receive_rest(whole));
  BOOST_TEST((whole == first));
  peer.close();
  BOOST_TEST(!stream.receive_rest(whole));
}
