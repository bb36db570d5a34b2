// The examples over UDP, Unix sockets and packets, against clients of each kind.

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>

#include "support/example.hpp"
#include "support/own_network.hpp"
#include "support/program_test.hpp"

import net.socket;

namespace {

using boost::unit_test::precondition;
using support::address_in;
using support::ask;
using support::Client;
using support::Example;
using support::port_of;
using support::Process;

// Sends a datagram, and returns the answer.
std::string ask(net::Socket& socket, const net::Address& server, const std::string& text) {
  socket.settimeout(std::chrono::seconds(10));
  socket.sendto(net::bytes(text), server);
  std::string answer(1000, '\0');
  answer.resize(socket.recv(std::as_writable_bytes(std::span(answer))));
  return answer;
}
std::string ask_udp(std::uint16_t port, const std::string& text) {
  net::Socket socket(net::Family::ipv4, net::SocketType::datagram);
  return ask(socket, {"127.0.0.1", port}, text);
}

std::string receive_line(net::Socket& socket) {
  std::string line;
  std::byte next{};
  while (!line.ends_with('\n') && socket.recv(std::span(&next, 1)) == 1) {
    line += static_cast<char>(next);
  }
  return line;
}

// A path for a socket, in a directory of its own, which is removed with this object.
struct SocketPath {
  SocketPath() { BOOST_REQUIRE(::mkdtemp(directory.data()) != nullptr); }
  SocketPath(const SocketPath&) = delete;
  SocketPath& operator=(const SocketPath&) = delete;
  ~SocketPath() { std::filesystem::remove_all(directory); }
  std::string text() const { return directory + "/socket"; }

  std::string directory = "/tmp/netserve-test-XXXXXX";
};

}  // namespace

BOOST_AUTO_TEST_CASE(udp_time_server_tells_the_time, *timeout(20)) {
  const Example example("udp_time_server");
  for (const std::string text : {"", "what time is it?"}) {
    const std::string time = ask_udp(example.port(), text);
    BOOST_TEST(
        std::regex_match(time, std::regex(R"(20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ\n)")));
  }
}

BOOST_AUTO_TEST_CASE(unix_chat_room_tells_all, *timeout(20)) {
  const SocketPath path;
  {
    const Example example("unix_chat_room", path.text());
    BOOST_TEST(example.address() == "unix:" + path.text());
    const auto come = [&] {
      return net::create_connection(net::Address::unix_path(path.text()), std::chrono::seconds(10));
    };
    net::Socket one = come();
    one.sendall(net::bytes("anybody here?\n"));
    BOOST_TEST(receive_line(one) == "guest 1: anybody here?\n");
    net::Socket other = come();
    other.sendall(net::bytes("I am\n"));
    for (net::Socket* const member : {&one, &other}) {
      BOOST_TEST(receive_line(*member) == "guest 2: I am\n");
    }
    other.close();
    one.sendall(net::bytes("still?\n"));
    BOOST_TEST(receive_line(one) == "guest 1: still?\n");
  }
  BOOST_TEST(!std::filesystem::exists(path.text()));
}

BOOST_AUTO_TEST_CASE(unix_log_collector_numbers_what_it_gets, *timeout(20)) {
  const SocketPath path;
  Example example("unix_log_collector", path.text());
  for (const std::string text : {"first", "second"}) {
    Process logger({"socat", "-u", "-", "UNIX-SENDTO:" + path.text()}, {.input = text});
    BOOST_TEST(logger.wait() == 0);
  }
  BOOST_TEST(example.read_line() == "1 first");
  BOOST_TEST(example.read_line() == "2 second");
}

BOOST_AUTO_TEST_CASE(several_servers_serves_tcp_and_udp, *timeout(20)) {
  Example example("several_servers");
  const std::uint16_t udp = port_of(address_in(example.read_line()));
  const Client client = example.client();
  for (const std::string text : {"once\n", "twice\n"}) {
    BOOST_TEST(ask(client, text) == text);
    BOOST_TEST(ask_udp(udp, text) == text);
  }
}

BOOST_AUTO_TEST_CASE(packet_echo_answers_frames,
                     *timeout(20) * precondition(support::OwnNetwork::may_be_made)) {
  constexpr std::uint16_t for_experiments = 0x88B5;
  const support::OwnNetwork network;
  const Example example("packet_echo", network.left);
  BOOST_TEST(example.address() == "packet:left/0x88b5");
  net::Socket socket(net::Family::packet, net::SocketType::datagram, for_experiments);
  socket.bind(net::Address::packet(network.right, for_experiments));
  const auto server = net::Address::packet(network.right, for_experiments,
                                           std::as_bytes(std::span(network.left_address)));
  for (const std::string text : {"once", "twice"}) BOOST_TEST(ask(socket, server, text) == text);
}

BOOST_AUTO_TEST_CASE(packet_echo_says_what_it_misses, *timeout(20)) {
  Process process({EXAMPLES "/packet_echo", "no such device"});
  BOOST_TEST(process.rest_of_stderr().find("no such device") != std::string::npos);
  BOOST_TEST(process.wait() == 1);
}
