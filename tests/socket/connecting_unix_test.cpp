#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/fails_with.hpp"
#include "support/temporary_directory.hpp"

import net.socket;

using boost::unit_test::timeout;
using net::Address;
using net::Socket;
using namespace std::chrono_literals;

namespace {

void check_echo(const Address& address) {
  Socket listener = net::create_server(address);
  BOOST_TEST(listener.listening());
  BOOST_TEST(listener.getsockname() == address);
  Socket client = net::create_connection(address, 5s);
  BOOST_TEST(client.getpeername() == address);
  auto [server, peer] = listener.accept();
  BOOST_TEST(peer.unnamed());
  client.sendall(net::bytes("echo"));
  std::array<std::byte, 8> into{};
  BOOST_TEST(server.recv(into) == 4U);
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Returns a listener that takes no more connections.
std::pair<Socket, std::vector<Socket>> crowded(const Address& address) {
  Socket listener = net::create_server(address, {.backlog = 1});
  std::vector<Socket> waiting;
  for (int turn = 0; turn < 2; ++turn) waiting.push_back(net::create_connection(address, 5s));
  return {std::move(listener), std::move(waiting)};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_server_listens_on_a_path_or_a_name, *timeout(10)) {
  const TemporaryDirectory directory;
  check_echo(Address::unix_path(directory.path("server")));
  check_echo(Address::unix_abstract("netserve-connecting-" + std::to_string(::getpid())));
}

BOOST_AUTO_TEST_CASE(options_of_tcp_do_not_disturb_a_path, *timeout(10)) {
  const TemporaryDirectory directory;
  const auto address = Address::unix_path(directory.path("server"));
  BOOST_CHECK_NO_THROW(
      net::create_server(address, {.backlog = 5, .reuse_port = true, .dualstack = true}));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_there_is_neither_replaced_nor_removed, *timeout(10)) {
  const TemporaryDirectory directory;
  const auto path = directory.path("server");
  const auto address = Address::unix_path(path);
  {
    const Socket listener = net::create_server(address);
  }
  BOOST_TEST(is_there(path));
  const auto again = [&] { net::create_server(address); };
  BOOST_TEST(fails_with(std::errc::address_in_use, again));
  BOOST_TEST(text_of_failure(again).find(path) != std::string::npos);
  BOOST_TEST(is_there(path));
}

BOOST_AUTO_TEST_CASE(a_path_where_nobody_listens_refuses, *timeout(10)) {
  const TemporaryDirectory directory;
  const auto address = Address::unix_path(directory.path("server"));
  const auto connect = [&] { net::create_connection(address, 5s); };
  BOOST_TEST(fails_with(std::errc::no_such_file_or_directory, connect));
  {
    const Socket listener = net::create_server(address);
  }
  BOOST_TEST(fails_with(std::errc::connection_refused, connect));
  BOOST_TEST(text_of_failure(connect).find("connect to " + address.to_string()) == 0U);
}

BOOST_AUTO_TEST_CASE(a_crowded_path_times_out, *timeout(10)) {
  const TemporaryDirectory directory;
  const auto address = Address::unix_path(directory.path("server"));
  const auto [listener, waiting] = crowded(address);
  BOOST_CHECK_THROW(net::create_connection(address, 20ms), net::TimeoutError);
  Socket patient(net::Family::unix_domain);
  patient.settimeout(20ms);
  BOOST_CHECK_THROW(patient.connect(address), net::TimeoutError);
  Socket impatient(net::Family::unix_domain);
  impatient.setblocking(false);
  BOOST_TEST(fails_with(std::errc::operation_would_block, [&] { impatient.connect(address); }));
}

BOOST_AUTO_TEST_CASE(a_connection_to_a_crowded_path_waits_for_its_turn, *timeout(10)) {
  const TemporaryDirectory directory;
  const auto address = Address::unix_path(directory.path("server"));
  auto [listener, waiting] = crowded(address);
  for (const auto& deadline : {net::Deadline(5s), net::Deadline::never()}) {
    auto connection =
        std::async(std::launch::async, [&] { return net::create_connection(address, deadline); });
    listener.accept();
    waiting.push_back(connection.get());
    BOOST_TEST(waiting.back().getpeername() == address);
  }
}
