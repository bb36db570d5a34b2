#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Descriptor;
using net::Socket;
using namespace std::chrono_literals;

namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(at % 251);
  return bytes;
}

// Other threads use this too, so it must not report to the test.
void write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(file, bytes.data(), bytes.size());
    if (count <= 0) throw std::system_error(errno, std::generic_category(), "write");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// Returns a file without a name, positioned at its beginning.
Descriptor file_with(std::span<const std::byte> bytes) {
  std::string name = "/tmp/netserve-XXXXXX";
  Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  BOOST_REQUIRE(static_cast<bool>(file));
  ::unlink(name.c_str());
  write_all(file.get(), bytes);
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

off_t position(const Descriptor& file) { return ::lseek(file.get(), 0, SEEK_CUR); }

bool blocks(const Socket& socket) { return (::fcntl(socket.fileno(), F_GETFL) & O_NONBLOCK) == 0; }

std::vector<std::byte> receive_all(Socket& socket) {
  std::vector<std::byte> all;
  std::vector<std::byte> some(65536);
  while (const auto count = socket.recv(some)) all.insert(all.end(), &some[0], &some[0] + count);
  return all;
}

struct Sent {
  std::uint64_t count = 0;
  std::vector<std::byte> received;
};

// Sends a file over TCP to a peer that receives all of it.
Sent send(int file, std::uint64_t offset = 0, std::optional<std::uint64_t> count = {}) {
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  Socket client = net::create_connection(listener.getsockname());
  Socket server = listener.accept().first;
  auto received = std::async(std::launch::async, [&] { return receive_all(server); });
  Sent sent;
  sent.count = net::sendfile(client, file, offset, count);
  BOOST_TEST(blocks(client));
  client.close();
  sent.received = received.get();
  return sent;
}

std::vector<std::byte> part(const std::vector<std::byte>& all, std::size_t begin,
                            std::size_t size) {
  const auto span = std::span(all).subspan(begin, size);
  return {span.begin(), span.end()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_file_arrives, *timeout(20)) {
  const auto bytes = pattern(10UL * 1024 * 1024 + 7);
  const auto file = file_with(bytes);
  const auto sent = send(file.get());
  BOOST_TEST(sent.count == bytes.size());
  BOOST_TEST((sent.received == bytes));
  BOOST_TEST(position(file) == 0);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_file_arrives, *timeout(20)) {
  const auto bytes = pattern(6'000'000);
  const auto file = file_with(bytes);
  ::lseek(file.get(), 17, SEEK_SET);
  const auto behind = send(file.get(), 5'000);
  BOOST_TEST(behind.count == 5'995'000U);
  BOOST_TEST((behind.received == part(bytes, 5'000, 5'995'000)));
  const auto counted = send(file.get(), 0, 5'000'007);
  BOOST_TEST(counted.count == 5'000'007U);
  BOOST_TEST((counted.received == part(bytes, 0, 5'000'007)));
  const auto one = send(file.get(), 0, 1);
  BOOST_TEST((one.received == part(bytes, 0, 1)));
  const auto both = send(file.get(), 2'007, 100'007);
  BOOST_TEST(both.count == 100'007U);
  BOOST_TEST((both.received == part(bytes, 2'007, 100'007)));
  BOOST_TEST(position(file) == 17);
}

BOOST_AUTO_TEST_CASE(a_file_that_ends_before_sends_what_there_was, *timeout(10)) {
  const auto bytes = pattern(1000);
  const auto file = file_with(bytes);
  const auto sent = send(file.get(), 900, 500);
  BOOST_TEST(sent.count == 100U);
  BOOST_TEST((sent.received == part(bytes, 900, 100)));
  BOOST_TEST(send(file.get(), 1000).count == 0U);
  BOOST_TEST(send(file.get(), 5000).count == 0U);
  BOOST_TEST(send(file.get(), 0, 0).received.empty());
  BOOST_TEST(send(file_with({}).get()).count == 0U);
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_to_its_end, *timeout(20)) {
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Descriptor from(ends[0]);
  Descriptor into(ends[1]);
  const auto bytes = pattern(1'000'000);
  auto writing = std::async(std::launch::async, [&] {
    write_all(into.get(), bytes);
    into.close();
  });
  const auto first = send(from.get(), 0, 300'001);
  BOOST_TEST(first.count == 300'001U);
  BOOST_TEST((first.received == part(bytes, 0, 300'001)));
  const auto rest = send(from.get());
  BOOST_TEST((rest.received == part(bytes, 300'001, 699'999)));
  writing.get();
}

BOOST_AUTO_TEST_CASE(a_file_of_the_kernels_own_arrives, *timeout(10)) {
  const Descriptor file(::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  BOOST_REQUIRE(static_cast<bool>(file));
  std::vector<std::byte> expected(65536);
  expected.resize(static_cast<std::size_t>(::pread(file.get(), expected.data(), 65536, 0)));
  const auto sent = send(file.get());
  BOOST_TEST(sent.count == expected.size());
  BOOST_TEST((sent.received == expected));
  BOOST_TEST((send(file.get(), 1).received == part(expected, 1, expected.size() - 1)));
}

BOOST_AUTO_TEST_CASE(a_file_goes_over_a_unix_stream_too, *timeout(20)) {
  const auto bytes = pattern(3'000'000);
  const auto file = file_with(bytes);
  auto [left, right] = net::socket_pair();
  auto received = std::async(std::launch::async, [&s = right] { return receive_all(s); });
  BOOST_TEST(net::sendfile(left, file.get()) == bytes.size());
  left.close();
  BOOST_TEST((received.get() == bytes));
}

BOOST_AUTO_TEST_CASE(a_file_that_nobody_takes_times_out, *timeout(10)) {
  const auto file = file_with(pattern(16UL * 1024 * 1024));
  auto [left, right] = net::socket_pair();
  const auto send_within = [&, &s = left](net::Deadline deadline) {
    net::sendfile(s, file.get(), 0, std::nullopt, deadline);
  };
  BOOST_CHECK_THROW(send_within(20ms), net::TimeoutError);
  left.settimeout(20ms);
  BOOST_CHECK_THROW(send_within(net::Deadline::never()), net::TimeoutError);
  BOOST_TEST(blocks(left));
}

BOOST_AUTO_TEST_CASE(a_pipe_that_says_nothing_times_out, *timeout(10)) {
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Descriptor from(ends[0]);
  const Descriptor into(ends[1]);
  auto [left, right] = net::socket_pair();
  BOOST_CHECK_THROW(net::sendfile(left, from.get(), 0, std::nullopt, 20ms), net::TimeoutError);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_as_a_file_is_refused, *timeout(10)) {
  const auto file = file_with(pattern(10));
  auto [left, right] = net::socket_pair();
  Socket datagrams(net::Family::ipv4, net::SocketType::datagram);
  BOOST_TEST(
      fails_with(std::errc::invalid_argument, [&] { net::sendfile(datagrams, file.get()); }));
  BOOST_TEST(fails_with(std::errc::bad_file_descriptor, [&s = left] { net::sendfile(s, -1); }));
  BOOST_TEST(fails_with(std::errc::value_too_large,
                        [&, &s = left] { net::sendfile(s, file.get(), UINT64_MAX); }));
  const Descriptor directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  BOOST_TEST(
      fails_with(std::errc::is_a_directory, [&, &s = left] { net::sendfile(s, directory.get()); }));
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Descriptor from(ends[0]);
  const Descriptor into(ends[1]);
  BOOST_TEST(
      fails_with(std::errc::invalid_seek, [&, &s = left] { net::sendfile(s, from.get(), 1); }));
  left.settimeout(0ms);
  BOOST_TEST(
      fails_with(std::errc::invalid_argument, [&, &s = left] { net::sendfile(s, file.get()); }));
  Socket closed;
  BOOST_TEST(
      fails_with(std::errc::bad_file_descriptor, [&] { net::sendfile(closed, file.get()); }));
}

namespace {

int pipe_signals = 0;
extern "C" void count_pipe_signal(int) { ++pipe_signals; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_to_a_closed_peer_raises_no_signal, *timeout(10)) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = &count_pipe_signal;
  ::sigaction(SIGPIPE, &action, &before);
  const auto file = file_with(pattern(100'000));
  auto [left, right] = net::socket_pair();
  right.close();
  const auto attempt = [&, &s = left] { net::sendfile(s, file.get()); };
  BOOST_TEST(fails_with(std::errc::broken_pipe, attempt));
  BOOST_TEST(pipe_signals == 0);
  sigset_t mask{};
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  BOOST_TEST(::sigismember(&mask, SIGPIPE) == 0);
  // A SIGPIPE that was pending before the call is not ours, and stays pending.
  sigset_t only{};
  ::sigemptyset(&only);
  ::sigaddset(&only, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &only, nullptr);
  ::raise(SIGPIPE);
  BOOST_TEST(fails_with(std::errc::broken_pipe, attempt));
  sigset_t pending{};
  ::sigpending(&pending);
  BOOST_TEST(::sigismember(&pending, SIGPIPE) == 1);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  BOOST_TEST(pipe_signals == 1);
  ::sigaction(SIGPIPE, &before, nullptr);
}
