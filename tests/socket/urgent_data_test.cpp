#include <sys/socket.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <thread>

import net.server;

using boost::unit_test::timeout;
using namespace std::chrono_literals;

namespace {

struct Lines : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    wfile.write(*line);
    return net::Next::keep;
  }
};

// A receive stops at urgent data, however many bytes follow it, and epoll reports no further edge:
// tcp(7).
template <class Policy>
void check_line_with_urgent_data() {
  net::TcpServer<Lines, Policy> server(net::Address("127.0.0.1", 0));
  net::Socket client = net::create_connection(server.server_address());
  client.sendall(net::bytes("before, "));
  BOOST_REQUIRE(::send(client.fileno(), "!", 1, MSG_OOB) == 1);
  client.sendall(net::bytes("behind\n"));
  std::thread serving([&] { server.serve_forever(); });
  client.settimeout(5s);
  std::array<std::byte, 100> answer{};
  std::size_t count = 0;
  BOOST_CHECK_NO_THROW(count = client.recv(answer));
  BOOST_TEST(count == 15U);
  client.close();
  server.shutdown();
  serving.join();
}

}  // namespace

BOOST_AUTO_TEST_CASE(urgent_data_delays_no_request_in_the_pool, *timeout(20)) {
  check_line_with_urgent_data<net::ThreadPool>();
}

BOOST_AUTO_TEST_CASE(urgent_data_delays_no_request_in_the_serving_thread, *timeout(20)) {
  check_line_with_urgent_data<net::Inline>();
}
