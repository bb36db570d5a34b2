#include <fcntl.h>
#include <pthread.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

import net.socket;

using boost::unit_test::timeout;
using net::Descriptor;
using net::Socket;

namespace {

std::atomic<int> alarms{0};

extern "C" void count_alarm(int) { alarms.fetch_add(1); }

// Sends a signal to the process every millisecond, which interrupts its system calls.
class Alarms {
 public:
  Alarms() {
    alarms = 0;
    struct sigaction action{};
    action.sa_handler = &count_alarm;  // no SA_RESTART
    ::sigaction(SIGALRM, &action, &before_);
    every({.tv_sec = 0, .tv_usec = 1000});
  }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;
  ~Alarms() {
    every({});
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  static void every(timeval time) {
    const itimerval timer{.it_interval = time, .it_value = time};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  struct sigaction before_{};
};

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<std::byte>(at % 251);
  return bytes;
}

const auto sent = pattern(16UL * 1024 * 1024);

using Bytes = std::span<const std::byte>;
using Send = std::function<void(Socket&)>;
using Receive = std::function<std::size_t(Socket&, std::span<std::byte>)>;

void send_by_send(Socket& socket) {
  for (auto rest = Bytes(sent); !rest.empty();) {
    rest = rest.subspan(socket.send(rest.first(std::min<std::size_t>(rest.size(), 100'000))));
  }
}

void send_by_sendmsg(Socket& socket) {
  for (auto rest = Bytes(sent); !rest.empty();) {
    const auto some = rest.first(std::min<std::size_t>(rest.size(), 100'000));
    const std::array buffers{some.first(some.size() / 2), some.subspan(some.size() / 2)};
    rest = rest.subspan(net::sendmsg(socket, buffers));
  }
}

void send_by_sendmsg_all(Socket& socket) {
  const std::array buffers{Bytes(sent).first(5'000'000), Bytes(sent).subspan(5'000'000)};
  net::sendmsg_all(socket, buffers);
}

void send_by_sendfile(Socket& socket) {
  std::string name = "/tmp/netserve-XXXXXX";
  const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  ::unlink(name.c_str());
  for (auto rest = Bytes(sent); !rest.empty();) {
    const auto count = ::write(file.get(), rest.data(), rest.size());
    if (count > 0) rest = rest.subspan(static_cast<std::size_t>(count));
  }
  BOOST_TEST(net::sendfile(socket, file.get()) == sent.size());
}

void send_by_sendfile_from_a_pipe(Socket& socket) {
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Descriptor from(ends[0]);
  Descriptor into(ends[1]);
  auto writing = std::async(std::launch::async, [&] {
    for (auto rest = Bytes(sent); !rest.empty();) {
      const auto count = ::write(into.get(), rest.data(), rest.size());
      if (count > 0) rest = rest.subspan(static_cast<std::size_t>(count));
    }
    into.close();
  });
  BOOST_TEST(net::sendfile(socket, from.get()) == sent.size());
  writing.get();
}

std::size_t receive_by_recv(Socket& socket, std::span<std::byte> into) { return socket.recv(into); }

std::size_t receive_by_recvmsg(Socket& socket, std::span<std::byte> into) {
  const std::array buffers{into.first(into.size() / 2), into.subspan(into.size() / 2)};
  return net::recvmsg(socket, buffers).size;
}

std::size_t receive_by_recvfrom(Socket& socket, std::span<std::byte> into) {
  return socket.recvfrom(into).first;
}

// The signals go to the thread of the test if it does not block them, so each side runs there once.
void check(const Send& send, const Receive& receive, bool receiving_is_hit) {
  Socket listener = net::create_server(net::Address("127.0.0.1", 0));
  const auto address = listener.getsockname();
  std::vector<std::byte> received(sent.size() + 1);
  std::size_t count = 0;
  const auto serve = [&] {
    Socket connection = listener.accept().first;
    const auto all = std::span(received);
    for (std::size_t some = 1; some != 0; count += some) {
      some = receive(connection,
                     all.subspan(count).first(std::min<std::size_t>(all.size() - count, 70'000)));
    }
  };
  // Connects after some signals have arrived, so the server waits in accept under them.
  const auto connect = [&] {
    while (alarms < 20) std::this_thread::yield();
    Socket connection = net::create_connection(address);
    send(connection);
  };
  {
    const Alarms every_millisecond;
    std::function<void()> here = connect;
    std::function<void()> there = serve;
    if (receiving_is_hit) std::swap(here, there);
    auto other = std::async(std::launch::async, there);
    here();
    other.get();
  }
  BOOST_TEST(count == sent.size());
  received.resize(count);
  BOOST_TEST((received == sent));
  BOOST_TEST(alarms >= 20);
}

}  // namespace

BOOST_AUTO_TEST_CASE(send_and_recv_lose_nothing_to_signals, *timeout(60)) {
  check(send_by_send, receive_by_recv, false);
  check(send_by_send, receive_by_recv, true);
}

BOOST_AUTO_TEST_CASE(sendmsg_and_recvmsg_lose_nothing_to_signals, *timeout(60)) {
  check(send_by_sendmsg, receive_by_recvmsg, false);
  check(send_by_sendmsg, receive_by_recvmsg, true);
}

BOOST_AUTO_TEST_CASE(sendmsg_all_and_recvfrom_lose_nothing_to_signals, *timeout(60)) {
  check(send_by_sendmsg_all, receive_by_recvfrom, false);
  check(send_by_sendmsg_all, receive_by_recvfrom, true);
}

BOOST_AUTO_TEST_CASE(sendfile_loses_nothing_to_signals, *timeout(60)) {
  check(send_by_sendfile, receive_by_recv, false);
  check(send_by_sendfile_from_a_pipe, receive_by_recv, false);
}

BOOST_AUTO_TEST_CASE(a_unix_connection_that_waits_survives_signals, *timeout(20)) {
  const auto address =
      net::Address::unix_abstract("netserve-interrupted-" + std::to_string(::getpid()));
  Socket listener = net::create_server(address, {.backlog = 1});
  std::vector<Socket> waiting;
  for (int turn = 0; turn < 2; ++turn) waiting.push_back(net::create_connection(address));
  const Alarms every_millisecond;
  auto room = std::async(std::launch::async, [&] {
    while (alarms < 50) std::this_thread::yield();
    listener.accept();
  });
  BOOST_CHECK_NO_THROW(net::create_connection(address));
  room.get();
}
