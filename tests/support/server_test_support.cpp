#include <linux/capability.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <span>
#include <system_error>

#include "server_test.hpp"

net::Address loopback() { return {"127.0.0.1", 0}; }

Running::Running(net::BaseServer& server)
    : server_(server), thread_([this] {
        try {
          server_.serve_forever(50ms);
        } catch (...) {
          error_ = std::current_exception();
        }
      }) {}

Running::~Running() {
  try {
    stop();
  } catch (const std::exception& error) {
    BOOST_ERROR("stopping threw " << error.what());
  }
}

void Running::join() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

net::DrainReport Running::stop(net::Deadline deadline) {
  server_.shutdown();
  const net::DrainReport report = server_.server_close(deadline);
  join();
  if (!std::exchange(closed_, true) && report.stuck == 0) check_sum(server_);
  return report;
}

void check_sum(const net::BaseServer& server) {
  const net::Stats stats = server.stats();
  BOOST_TEST(stats.ended() == stats.accepted);
  BOOST_TEST(stats.active == 0U);
  BOOST_TEST(stats.parked == 0U);
  BOOST_TEST(stats.lingering == 0U);
}

Client::Client(const net::Address& server) : Client(net::create_connection(server, 10s)) {}

Client::Client(net::Socket connected) : socket(std::move(connected)) { socket.settimeout(10s); }

net::Socket Client::slow_reader(const net::BaseServer& server) {
  net::Socket socket(net::Family::ipv4);
  socket.setsockopt(net::SocketOption::receive_buffer, 4096);
  socket.connect(server.server_address(), 10s);
  return socket;
}

Client::~Client() {
  try {
    if (socket.fileno() >= 0) socket.shutdown(net::ShutdownHow::both);
  } catch (const std::system_error&) {
    // The connection has ended already.
  }
}

void Client::send(std::string_view text) { socket.sendall(net::bytes(text)); }

std::string Client::receive(std::size_t count) {
  std::string text(count, '\0');
  std::size_t size = 0;
  while (size < count) {
    const auto got = socket.recv(std::as_writable_bytes(std::span(text)).subspan(size));
    if (got == 0) break;
    size += got;
  }
  text.resize(size);
  return text;
}

std::string Client::receive_all() {
  std::string text;
  std::array<char, 65536> some;  // recv fills it
  while (const auto got = socket.recv(std::as_writable_bytes(std::span(some)))) {
    text.append(some.data(), got);
  }
  return text;
}

bool Client::is_closed() {
  try {
    receive_all();
    return true;
  } catch (const net::TimeoutError&) {
    return false;
  } catch (const std::system_error&) {
    return true;
  }
}

void Client::reset() {
  const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
  BOOST_TEST(::connect(socket.fileno(), &nowhere, sizeof nowhere) == 0);
}

DatagramClient::DatagramClient(const net::Address& asked)
    : socket(asked.family(), net::SocketType::datagram), server(asked) {
  socket.settimeout(10s);
  switch (asked.family()) {
    case net::Family::ipv4: socket.bind({"127.0.0.1", 0}); break;
    case net::Family::ipv6: socket.bind({"::1", 0}); break;
    default: socket.bind(net::Address::unix_unnamed()); break;  // the kernel picks a name
  }
}

void DatagramClient::send(std::string_view text) { socket.sendto(net::bytes(text), server); }

std::string DatagramClient::receive() {
  std::string text(70000, '\0');
  text.resize(socket.recv(std::as_writable_bytes(std::span(text))));
  return text;
}

ScratchDirectory::ScratchDirectory() : directory_("/tmp/netserve-test-XXXXXX") {
  BOOST_REQUIRE(::mkdtemp(directory_.data()) != nullptr);
}

ScratchDirectory::~ScratchDirectory() { std::filesystem::remove_all(directory_); }

void without_capability(unsigned capability, const std::function<void()>& function) {
  std::async(std::launch::async, [&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    BOOST_TEST(::syscall(SYS_capget, &header, sets.data()) == 0);
    sets.at(CAP_TO_INDEX(capability)).effective &= ~CAP_TO_MASK(capability);
    BOOST_TEST(::syscall(SYS_capset, &header, sets.data()) == 0);
    function();
  }).get();
}

net::ServerOptions quick() {
  net::ServerOptions options;
  options.linger = 200ms;
  options.quiet_grace = 20ms;
  return options;
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  std::uint32_t state = 2463534242U + seed * 7919U;
  for (char& letter : text) {
    state ^= state << 13U;
    state ^= state >> 17U;
    state ^= state << 5U;
    letter = static_cast<char>('A' + state % 58);
  }
  return text;
}
