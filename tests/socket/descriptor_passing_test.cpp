#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <future>
#include <limits>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"
#include "support/open_descriptors.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Ancillary;
using net::Descriptor;
using net::Socket;
using net::SocketType;
using namespace std::chrono_literals;

static_assert(std::movable<Descriptor> && !std::copyable<Descriptor>);
static_assert(std::movable<Ancillary> && !std::copyable<Ancillary>);
static_assert(!std::convertible_to<int, Descriptor> && !std::convertible_to<Descriptor, bool>);

namespace {

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
  Descriptor read;
  Descriptor write;
};

ino_t file_of(int descriptor) {
  struct stat status{};
  BOOST_REQUIRE(::fstat(descriptor, &status) == 0);
  return status.st_ino;
}

// Checks, in its destructor, that as many descriptors are open as at its construction.
class NothingLeaks {
 public:
  NothingLeaks() = default;
  NothingLeaks(const NothingLeaks&) = delete;
  NothingLeaks& operator=(const NothingLeaks&) = delete;
  ~NothingLeaks() { BOOST_TEST(open_descriptors() == before_); }

 private:
  std::size_t before_ = open_descriptors();
};

std::vector<int> numbers_of(const std::vector<Pipe>& pipes) {
  std::vector<int> numbers;
  for (const Pipe& pipe : pipes) numbers.push_back(pipe.write.get());
  return numbers;
}

net::ReceivedMessage receive(Socket& socket, Ancillary* ancillary) {
  std::array<std::byte, 8> room{};
  const std::array into{std::span<std::byte>(room)};
  return net::recvmsg(socket, into, ancillary);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_descriptor_is_closed_with_its_owner, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  int number = -1;
  {
    Pipe pipe;
    number = pipe.read.get();
    BOOST_TEST(is_open(number));
    BOOST_TEST(static_cast<bool>(pipe.read));
  }
  BOOST_TEST(!is_open(number));
  Descriptor none;
  BOOST_TEST(none.get() == -1);
  BOOST_TEST(!none);
  none.close();
}

BOOST_AUTO_TEST_CASE(a_descriptor_moves_and_can_be_released, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  Pipe pipe;
  const int number = pipe.read.get();
  Descriptor moved(std::move(pipe.read));
  BOOST_TEST(moved.get() == number);
  BOOST_TEST(pipe.read.get() == -1);
  const int other = pipe.write.get();
  moved = std::move(pipe.write);
  BOOST_TEST(!is_open(number));
  BOOST_TEST(moved.get() == other);
  Descriptor& itself = moved;
  moved = std::move(itself);
  BOOST_TEST(is_open(moved.get()));
  const int released = moved.release();
  BOOST_TEST(!moved);
  moved.close();
  BOOST_TEST(is_open(released));
  ::close(released);
}

BOOST_AUTO_TEST_CASE(a_socket_takes_over_a_descriptor_or_closes_it, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  const int number = left.detach();
  Socket adopted = Socket::adopt(Descriptor(number));
  BOOST_TEST(adopted.fileno() == number);
  BOOST_TEST(is_open(number));
  BOOST_TEST(fails_with(std::errc::not_a_socket, [] { Socket::adopt(std::move(Pipe().read)); }));
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [] { Socket::adopt(Descriptor()); }));
}

BOOST_AUTO_TEST_CASE(descriptors_that_are_sent_arrive_and_work, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  for (const auto type : {SocketType::stream, SocketType::datagram, SocketType::sequenced_packet}) {
    auto [left, right] = net::socket_pair(type);
    const std::vector<Pipe> pipes(10);
    const auto sent = numbers_of(pipes);
    BOOST_TEST(net::send_fds(left, net::bytes("ten"), sent) == 3U);
    std::array<std::byte, 8> into{};
    const auto [count, received] = net::recv_fds(right, into, 20);
    BOOST_TEST(count == 3U);
    BOOST_REQUIRE(received.size() == sent.size());
    for (std::size_t at = 0; at < sent.size(); ++at) {
      BOOST_TEST(received[at].get() != sent[at]);
      BOOST_TEST(file_of(received[at].get()) == file_of(sent[at]));
      BOOST_TEST((::fcntl(received[at].get(), F_GETFD) & FD_CLOEXEC) != 0);
      BOOST_TEST(::write(received[at].get(), "x", 1) == 1);
      char letter = 0;
      BOOST_TEST(::read(pipes[at].read.get(), &letter, 1) == 1);
      BOOST_TEST(letter == 'x');
    }
  }
}

BOOST_AUTO_TEST_CASE(separate_groups_of_descriptors_are_one, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  const std::vector<Pipe> pipes(2);
  const auto sent = numbers_of(pipes);
  Ancillary both;
  both.add_descriptors(std::span(sent).first(1));
  both.add_descriptors(std::span(sent).last(1));
  const std::array from{net::bytes("x")};
  net::sendmsg(left, from, &both);
  Ancillary ancillary(2 * sizeof(int));
  BOOST_TEST(!receive(right, &ancillary).ancillary_truncated);
  const auto received = ancillary.take_descriptors();
  BOOST_REQUIRE(received.size() == 2U);
  BOOST_TEST(file_of(received[0].get()) == file_of(sent[0]));
  BOOST_TEST(file_of(received[1].get()) == file_of(sent[1]));
  BOOST_TEST(ancillary.take_descriptors().empty());
}

BOOST_AUTO_TEST_CASE(no_descriptors_are_none, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  BOOST_TEST(net::send_fds(left, net::bytes("x"), {}) == 1U);
  std::array<std::byte, 8> into{};
  const auto [count, received] = net::recv_fds(right, into, 4);
  BOOST_TEST(count == 1U);
  BOOST_TEST(received.empty());
}

BOOST_AUTO_TEST_CASE(descriptors_and_credentials_come_together, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  right.setsockopt(net::SocketOption::pass_credentials, 1);
  const std::vector<Pipe> pipes(3);
  net::send_fds(left, net::bytes("x"), numbers_of(pipes));
  Ancillary ancillary(sizeof(ucred) + 3 * sizeof(int), 2);
  BOOST_TEST(!receive(right, &ancillary).ancillary_truncated);
  BOOST_TEST(ancillary.items().size() == 2U);
  BOOST_TEST(ancillary.take_descriptors().size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_cut_control_buffer_leaks_no_descriptor, *timeout(20)) {
  const NothingLeaks nothing_leaks;
  const std::vector<Pipe> pipes(4);
  const auto sent = numbers_of(pipes);
  for (std::size_t room = 0; room <= sent.size() * sizeof(int); ++room) {
    BOOST_TEST_CONTEXT(room) {
      const NothingLeaks not_here_either;
      auto [left, right] = net::socket_pair();
      net::send_fds(left, net::bytes("x"), sent);
      Ancillary ancillary(room);
      const auto message = receive(right, &ancillary);
      BOOST_TEST(message.size == 1U);
      BOOST_TEST(message.ancillary_truncated == (room < sent.size() * sizeof(int)));
      const auto received = ancillary.take_descriptors();
      BOOST_TEST(received.size() == room / sizeof(int));
      for (const Descriptor& one : received) BOOST_TEST(is_open(one.get()));
    }
  }
}

BOOST_AUTO_TEST_CASE(more_descriptors_than_asked_for_are_closed, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  const std::vector<Pipe> pipes(5);
  net::send_fds(left, net::bytes("x"), numbers_of(pipes));
  const std::size_t before = open_descriptors();
  std::array<std::byte, 8> into{};
  const auto received = net::recv_fds(right, into, 3).second;
  BOOST_TEST(received.size() == 3U);
  BOOST_TEST(open_descriptors() == before + 3);
}

BOOST_AUTO_TEST_CASE(descriptors_that_nobody_takes_are_closed, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  const std::vector<Pipe> pipes(2);
  const std::size_t before = open_descriptors();
  {
    Ancillary ancillary(2 * sizeof(int));
    net::send_fds(left, net::bytes("x"), numbers_of(pipes));
    receive(right, &ancillary);
    BOOST_TEST(open_descriptors() == before + 2);
    // The next receive closes the descriptors of the previous one.
    net::send_fds(left, net::bytes("y"), std::array{pipes[0].write.get()});
    receive(right, &ancillary);
    BOOST_TEST(open_descriptors() == before + 1);
    const Ancillary moved(std::move(ancillary));
    BOOST_TEST(open_descriptors() == before + 1);
  }
  BOOST_TEST(open_descriptors() == before);
  // A descriptor for which the receiver reserved no space does not leak either.
  net::send_fds(left, net::bytes("z"), numbers_of(pipes));
  std::array<std::byte, 8> into{};
  BOOST_TEST(right.recv(into) == 1U);
  net::send_fds(left, net::bytes("z"), numbers_of(pipes));
  BOOST_TEST(receive(right, nullptr).ancillary_truncated);
  BOOST_TEST(open_descriptors() == before);
}

BOOST_AUTO_TEST_CASE(a_receive_that_fails_leaves_nothing_to_take, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const std::vector<Pipe> pipes(1);
  net::send_fds(left, net::bytes("x"), numbers_of(pipes));
  Ancillary ancillary(sizeof(int));
  receive(right, &ancillary);
  right.settimeout(0ms);
  BOOST_TEST(
      fails_with(std::errc::operation_would_block, [&, &s = right] { receive(s, &ancillary); }));
  BOOST_TEST(ancillary.items().empty());
  BOOST_TEST(ancillary.take_descriptors().empty());
}

BOOST_AUTO_TEST_CASE(a_message_takes_253_descriptors_and_no_more, *timeout(10)) {
  const NothingLeaks nothing_leaks;
  auto [left, right] = net::socket_pair();
  const Pipe pipe;
  const std::vector<int> many(254, pipe.read.get());
  BOOST_TEST(net::send_fds(left, net::bytes("x"), std::span(many).first(253)) == 1U);
  std::array<std::byte, 8> into{};
  BOOST_TEST(net::recv_fds(right, into, 1'000'000'000).second.size() == 253U);
  const auto too_many = [&, &s = left] { net::send_fds(s, net::bytes("x"), many); };
  BOOST_TEST(fails_with(std::errc::invalid_argument, too_many));
  BOOST_TEST(text_of_failure(too_many).find("254") != std::string::npos);
  Ancillary ancillary;
  ancillary.add_descriptors(std::span(many).first(200));
  BOOST_TEST(fails_with(std::errc::invalid_argument,
                        [&] { ancillary.add_descriptors(std::span(many).first(54)); }));
}

BOOST_AUTO_TEST_CASE(room_that_no_message_needs_is_refused, *timeout(10)) {
  const auto refused = [](auto call) { return fails_with(std::errc::invalid_argument, call); };
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  BOOST_TEST(refused([] { net::Ancillary{most}; }));
  BOOST_TEST(refused([] { net::Ancillary{most - 24}; }));
  BOOST_TEST(refused([] { net::Ancillary(16, most); }));
  BOOST_CHECK_NO_THROW(net::Ancillary(16, 16));
}

BOOST_AUTO_TEST_CASE(on_a_stream_descriptors_need_a_byte_to_go_with, *timeout(10)) {
  const std::vector<Pipe> pipes(1);
  auto stream = net::socket_pair();
  BOOST_TEST(fails_with(std::errc::invalid_argument,
                        [&] { net::send_fds(stream.first, {}, numbers_of(pipes)); }));
  auto datagram = net::socket_pair(SocketType::datagram);
  BOOST_TEST(net::send_fds(datagram.first, {}, numbers_of(pipes)) == 0U);
  std::array<std::byte, 8> into{};
  BOOST_TEST(net::recv_fds(datagram.second, into, 1).second.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_not_open_is_not_sent, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  const std::array closed{-1};
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor,
                        [&, &s = left] { net::send_fds(s, net::bytes("x"), closed); }));
}

BOOST_AUTO_TEST_CASE(a_listener_that_was_sent_goes_on_listening, *timeout(10)) {
  auto [left, right] = net::socket_pair();
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  const auto address = listener.getsockname();
  const std::array sent{listener.fileno()};
  net::send_fds(left, net::bytes("x"), sent);
  listener.close();
  std::array<std::byte, 8> into{};
  auto received = net::recv_fds(right, into, 1).second;
  BOOST_REQUIRE(received.size() == 1U);
  Socket adopted = Socket::adopt(std::move(received[0]));
  BOOST_TEST(adopted.listening());
  const Socket client = net::create_connection(address, 5s);
  BOOST_TEST(adopted.accept().second == client.getsockname());
}
