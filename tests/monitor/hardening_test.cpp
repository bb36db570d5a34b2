// The monitor against clients that are hostile, slow, or many.

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <list>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/server_test.hpp"

import net.monitor;

namespace {

// Receives the header of a response, and its body if the header has a length.
std::string receive_response(Client& client) {
  std::string text;
  while (!text.ends_with("\r\n\r\n")) text += client.receive(1);
  const std::string key = "Content-Length: ";
  const auto at = text.find(key);
  if (at != text.npos) text += client.receive(std::stoul(text.substr(at + key.size())));
  return text;
}

std::string get(const net::Monitor& monitor, const std::string& path) {
  Client client(monitor.address());
  client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  return receive_response(client);
}

bool is_alive(const net::Monitor& monitor) { return get(monitor, "/healthz").ends_with("alive\n"); }

void open_stream(Client& client) {
  client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  BOOST_TEST(receive_response(client).starts_with("HTTP/1.1 200 "));
}

std::set<std::string> threads() {
  std::set<std::string> found;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/task")) {
    found.insert(each.path().string());
  }
  return found;
}

bool blocks(const std::string& thread, int signal) {
  std::ifstream status(thread + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:")) {
      const auto mask = std::stoull(line.substr(line.find('\t') + 1), nullptr, 16);
      return (mask >> static_cast<unsigned>(signal - 1) & 1U) != 0;
    }
  }
  return false;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(monitor_hardening, LeavesNothing)

// A proxy in front of the monitor may read such a request differently, so bytes that follow it must
// never be answered.
BOOST_AUTO_TEST_CASE(nothing_behind_an_ambiguous_request_is_answered, *timeout(40)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  const std::string start = "GET /readyz HTTP/1.1\r\nHost: x\r\n";
  const std::string hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  using namespace std::string_literals;
  for (const std::string& request :
       {start + "Content-Length: 5\r\n\r\n",
        start + "Content-Length: +0\r\n\r\n",
        start + "Content-Length: -1\r\n\r\n",
        start + "Content-Length: 0x0\r\n\r\n",
        start + "Content-Length: 0, 0\r\n\r\n",
        start + "Content-Length: \r\n\r\n",
        start + "Content-Length: 99999999999999999999999\r\n\r\n",
        start + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
        start + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        start + "Transfer-Encoding: chunked\r\n\r\n",
        start + "Transfer-Encoding: identity\r\n\r\n",
        start + "Transfer-Encoding: xchunked\r\n\r\n",
        start + "Transfer-Encoding: chunked, chunked\r\n\r\n",
        start + "Transfer-Encoding : chunked\r\n\r\n",
        start + "A: b\r\n folded\r\n\r\n",
        start + "A: b\r\n\tfolded\r\n\r\n",
        start + " A: b\r\n\r\n",
        start + "A\r\n\r\n",
        start + ": b\r\n\r\n",
        start + "A: b\rc\r\n\r\n",
        start + "A: b\nC: d\r\n\r\n",
        start + "A: \0b\r\n\r\n"s,
        start + "A: \x7f\r\n\r\n",
        start + "A b: c\r\n\r\n",
        "GET /readyz HTTP/1.1\nHost: x\n\n"s,
        "GET /readyz HTTP/1.1\r\nHost: x\n\r\n"s,
        "GET /readyz\r\n\r\n"s,
        "GET /readyz HTTP/1.1 \r\nHost: x\r\n\r\n"s,
        "GET /ready z HTTP/1.1\r\nHost: x\r\n\r\n"s,
        "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"s,
        "GET\t/readyz\tHTTP/1.1\r\nHost: x\r\n\r\n"s,
        "GET /readyz http/1.1\r\nHost: x\r\n\r\n"s,
        "GET /readyz HTTP/1.1\r\n\r\n"s,
        "get /readyz HTTP/1.1\r\nHost: x\r\n\r\n"s,
        "POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"s,
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"s,
        "\r\n\r\n"s}) {
    BOOST_TEST_CONTEXT(request) {
      Client client(monitor.address());
      client.send(request + hidden);
      const std::string told = client.receive_all();
      const bool refused = told.starts_with("HTTP/1.1 4") || told.starts_with("HTTP/1.1 505 ");
      BOOST_TEST(refused, told.substr(0, 40));
      BOOST_TEST(told.find("alive") == told.npos);
      BOOST_TEST(told.find("ready\n") == told.npos);
    }
  }
  BOOST_TEST(is_alive(monitor));
}

// RFC 9110, 15.5.6: the response names the method as the fault, whether the request has a body or
// not.
BOOST_AUTO_TEST_CASE(another_method_is_told_which_are_allowed, *timeout(20)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  for (const char* rest : {"\r\n", "Content-Length: 2\r\n\r\nhi"}) {
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"}) {
      Client client(monitor.address());
      client.send(std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\n" + rest);
      const std::string told = client.receive_all();
      BOOST_TEST(told.starts_with("HTTP/1.1 405 "), method << ": " << told.substr(0, 40));
      BOOST_TEST(told.find("Allow: GET, HEAD\r\n") != told.npos);
    }
  }
}

// RFC 9112, 9.3: the response must tell a client of HTTP/1.0 that the connection stays open.
BOOST_AUTO_TEST_CASE(a_client_of_http_1_0_is_told_whether_its_connection_goes_on, *timeout(20)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  Client client(monitor.address());
  client.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  BOOST_TEST(receive_response(client).find("Connection: keep-alive\r\n") != std::string::npos);
  client.send("GET /healthz HTTP/1.0\r\n\r\n");
  BOOST_TEST(receive_response(client).find("Connection: close\r\n") != std::string::npos);
  BOOST_TEST(client.sees_end());
}

// There are more connections than the monitor has slots, each with half a header. An operator is
// still answered.
BOOST_AUTO_TEST_CASE(half_headers_keep_no_operator_waiting, *timeout(40)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  std::list<Client> slow;
  for (int i = 0; i < 100; ++i) slow.emplace_back(monitor.address()).send("GET / HTTP/1.1\r\nA:");
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(is_alive(monitor));
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 3s));
}

BOOST_AUTO_TEST_CASE(idle_connections_keep_no_operator_waiting, *timeout(40)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  std::list<Client> idle;
  for (int i = 0; i < 100; ++i) idle.emplace_back(monitor.address());
  const auto begin = std::chrono::steady_clock::now();
  BOOST_TEST(is_alive(monitor));
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 3s));
}

// The name of the server makes events large enough to fill the buffers of the connections. Clients
// that read nothing but the header take all streams that there may be.
BOOST_AUTO_TEST_CASE(streams_that_are_not_read_are_dropped, *timeout(40)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const std::string name(1'000'000, 'n');
  const std::array<net::Watched, 1> watched{{{&server, name}}};
  const net::Monitor monitor(loopback(), watched);
  std::list<Client> stuck;
  for (int i = 0; i < 16; ++i) {
    net::Socket socket(net::Family::ipv4);
    socket.setsockopt(net::SocketOption::receive_buffer, 4096);
    socket.connect(monitor.address(), 10s);
    open_stream(stuck.emplace_back(std::move(socket)));
  }
  const auto gets_a_stream = [&] { return get(monitor, "/events").starts_with("HTTP/1.1 200 "); };
  BOOST_TEST(soon(gets_a_stream, 20s));
}

// Children inherit the sockets of streams, and must not keep them open.
BOOST_AUTO_TEST_CASE(streams_end_with_the_monitor_while_children_live, *timeout(30)) {
  net::TcpServer<Echo, net::ForkPerRequest> server(loopback(), quick());
  Running running(server);
  std::optional<net::Monitor> monitor(std::in_place, loopback(), server);
  Client stream(monitor->address());
  open_stream(stream);
  Client client(server);
  BOOST_TEST(client.ask("its child was forked after the stream began") ==
             "its child was forked after the stream began");
  monitor.reset();
  BOOST_TEST(stream.is_closed());
  BOOST_TEST(client.ask("it lives on") == "it lives on");
}

BOOST_AUTO_TEST_CASE(a_monitor_may_end_at_once, *timeout(30)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  for (int i = 0; i < 50; ++i) const net::Monitor monitor(loopback(), server);
  BOOST_TEST(Client(server).ask("x") == "x");
}

BOOST_AUTO_TEST_CASE(streams_that_come_and_go_leave_room_for_others, *timeout(60)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(loopback(), server);
  {
    std::vector<std::jthread> crowd;
    for (int i = 0; i < 4; ++i) {
      crowd.emplace_back([&] {
        for (int j = 0; j < 50; ++j) {
          try {
            net::Socket socket = net::create_connection(monitor.address(), 10s);
            socket.settimeout(10s);
            socket.sendall(net::bytes("GET /events HTTP/1.1\r\nHost: x\r\n\r\n"));
            // Closing it with something unread resets the connection.
            std::array<std::byte, 16> some{};
            if (j % 2 == 0) socket.recv(some);
          } catch (const std::exception&) {
            // The connection was closed because a new client needed the slot.
          }
        }
      });
    }
  }
  BOOST_TEST(soon([&] {
    Client client(monitor.address());
    client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    return receive_response(client).starts_with("HTTP/1.1 200 ");
  }));
}

// A signal to the program must be handled by a thread of the program.
BOOST_AUTO_TEST_CASE(threads_of_the_monitor_take_no_signals, *timeout(20)) {
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  // The pool of the service starts with its first request.
  BOOST_TEST(Client(server).ask("x") == "x");
  const std::set<std::string> before = threads();
  const net::Monitor monitor(loopback(), server);
  BOOST_TEST(is_alive(monitor));
  std::size_t found = 0;
  for (const std::string& thread : threads()) {
    if (before.contains(thread)) continue;
    ++found;
    BOOST_TEST(blocks(thread, SIGTERM), thread);
    BOOST_TEST(blocks(thread, SIGUSR1), thread);
  }
  BOOST_TEST(found >= 3U);
}

#ifdef PROMTOOL
// Prometheus' own check of the format.
BOOST_AUTO_TEST_CASE(promtool_is_content, *timeout(30)) {
  net::TcpServer<Echo> server(loopback(), quick());
  net::UdpServer<EchoDatagram> other(loopback(), quick());
  Running running(server);
  const std::array<net::Watched, 2> both{{{&server, "one"}, {&other, "two \"quoted\" \\"}}};
  const net::Monitor monitor(loopback(), both);
  BOOST_TEST(Client(server).ask("x") == "x");
  const std::string told = get(monitor, "/metrics");
  const ScratchDirectory directory;
  std::ofstream(directory.path("metrics")) << told.substr(told.find("\r\n\r\n") + 4);
  const std::string command = std::string(PROMTOOL) + " check metrics < " +
                              directory.path("metrics") + " > " + directory.path("report") +
                              " 2>&1";
  const int status = std::system(command.c_str());
  std::stringstream report;
  report << std::ifstream(directory.path("report")).rdbuf();
  BOOST_TEST(status == 0, report.str());
  BOOST_TEST(report.str().empty(), report.str());
}
#endif

BOOST_AUTO_TEST_SUITE_END()
