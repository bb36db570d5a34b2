// The monitor, over real sockets.

#include <array>
#include <atomic>
#include <list>
#include <map>
#include <sstream>
#include <string>

#include "support/server_test.hpp"

import net.monitor;

namespace {

net::Address any_port() { return net::Address("127.0.0.1", 0); }

struct Response {
  std::string header;
  std::string body;
  std::string status() const { return header.substr(0, header.find("\r\n")); }
};

// Receives the next response of a connection that stays open.
Response receive(Client& client, bool with_body = true) {
  Response response;
  while (!response.header.ends_with("\r\n\r\n")) response.header += client.receive(1);
  const std::string key = "Content-Length: ";
  const auto at = response.header.find(key);
  if (at != std::string::npos && with_body) {
    response.body = client.receive(std::stoul(response.header.substr(at + key.size())));
  }
  return response;
}

Response get(const net::Monitor& monitor, const std::string& path) {
  Client client(monitor.address());
  client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  return receive(client);
}

// Returns the values of /metrics by the text before them.
std::map<std::string, double> metrics(const net::Monitor& monitor) {
  std::map<std::string, double> values;
  std::istringstream lines(get(monitor, "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto blank = line.rfind(' ');
    values[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
  }
  return values;
}

struct Blocking : net::StreamRequestHandler {
  explicit Blocking(Gate& shared) : gate(shared) {}
  net::Next handle() {
    rfile.read_some();
    gate.wait();
    wfile.write("x");
    return net::Next::keep;
  }
  Gate& gate;
};

struct Thrower : net::StreamRequestHandler {
  net::Next handle() {
    if (rfile.read_some() == "throw") throw std::runtime_error("as asked");
    return net::Next::close;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(it_answers_what_there_is, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(any_port(), server);
  for (const auto& [path, type] : std::initializer_list<std::pair<const char*, const char*>>{
           {"/", "text/html; charset=utf-8"},
           {"/?x=1", "text/html; charset=utf-8"},
           {"/monitor.css", "text/css; charset=utf-8"},
           {"/monitor.js", "text/javascript; charset=utf-8"},
           {"/metrics", "text/plain; version=0.0.4; charset=utf-8"},
           {"/healthz", "text/plain; charset=utf-8"},
           {"/readyz", "text/plain; charset=utf-8"}}) {
    const Response response = get(monitor, path);
    BOOST_TEST(response.status() == "HTTP/1.1 200 OK", path);
    BOOST_TEST(response.header.find(std::string("Content-Type: ") + type + "\r\n") !=
               std::string::npos);
    BOOST_TEST(response.header.find("Content-Security-Policy: default-src 'none';") !=
               std::string::npos);
    BOOST_TEST(!response.body.empty());
  }
  BOOST_TEST(get(monitor, "/nothing").status() == "HTTP/1.1 404 Not Found");
  BOOST_TEST(get(monitor, "//metrics").status() == "HTTP/1.1 404 Not Found");
}

BOOST_AUTO_TEST_CASE(a_connection_goes_on_and_requests_may_be_pipelined, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(any_port(), server);
  Client client(monitor.address());
  client.send(
      "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nHEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  BOOST_TEST(receive(client).body == "alive\n");
  const Response head = receive(client, false);
  BOOST_TEST(head.header.find("Content-Length: 0") == std::string::npos);
  const Response last = receive(client);
  BOOST_TEST(last.body == "ready\n");
  BOOST_TEST(last.header.find("Connection: close\r\n") != std::string::npos);
  BOOST_TEST(client.sees_end());
}

BOOST_AUTO_TEST_CASE(what_is_no_request_is_refused_and_ends_the_connection, *timeout(30)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  const net::Monitor monitor(any_port(), server);
  const std::string host = "Host: x\r\n";
  for (const auto& [request, status] : std::initializer_list<std::pair<std::string, std::string>>{
           {"GET / HTTP/1.1\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\n" + host + host + "\r\n", "400"},
           {"GET / HTTP/1.1\nHost: x\n\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n", "400"},
           {"GET  / HTTP/1.1\r\n" + host + "\r\n", "400"},
           {"GET http://x/ HTTP/1.1\r\n" + host + "\r\n", "400"},
           {"\x16\x03\x01\r\n\r\n", "400"},
           {"GET / HTTP/2.0\r\n" + host + "\r\n", "505"},
           {"POST / HTTP/1.1\r\n" + host + "\r\n", "405"},
           {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "405"},
           {"GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", "413"},
           {"GET / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "413"},
           {"GET / HTTP/1.1\r\n" + host + "A: " + std::string(9000, 'x') + "\r\n\r\n", "431"},
           {"GET /" + std::string(9000, 'x'), "431"}}) {
    BOOST_TEST_CONTEXT(request.substr(0, 60)) {
      Client client(monitor.address());
      client.send(request);
      BOOST_TEST(receive(client).status().substr(9, 3) == status);
      BOOST_TEST(client.is_closed());
    }
  }
  BOOST_TEST(get(monitor, "/healthz").body == "alive\n");
}

BOOST_AUTO_TEST_CASE(readiness_is_what_the_server_says_and_can, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> one(loopback(), quick());
  net::ServerOptions later = quick();
  later.bind_and_activate = false;
  net::TcpServer<Echo> other(loopback(), later);
  const std::array<net::Watched, 2> both{{{&one, "one"}, {&other, "other"}}};
  const net::Monitor monitor(any_port(), both);
  const auto ready = [&] { return get(monitor, "/readyz"); };
  BOOST_TEST(ready().body == "not ready: other\n");
  BOOST_TEST(ready().status().substr(9, 3) == "503");
  other.server_bind();
  other.server_activate();
  BOOST_TEST(ready().body == "ready\n");
  one.set_ready(false);
  BOOST_TEST(ready().body == "not ready: one\n");
  one.set_ready(true);
  BOOST_TEST(ready().body == "ready\n");
  other.shutdown();
  BOOST_TEST(ready().body == "not ready: other\n");
  other.restart();
  other.server_close();
  BOOST_TEST(ready().body == "not ready: other\n");
  BOOST_TEST(get(monitor, "/healthz").body == "alive\n");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(figures_are_what_clients_did, Policy, Policies) {
  const LeavesNothing nothing;
  QuietHooks hooks;
  net::TcpServer<Thrower, Policy> server(loopback(), quick(), hooks);
  Running running(server);
  const std::array<net::Watched, 1> watched{{{&server, "s"}}};
  const net::Monitor monitor(any_port(), watched);
  for (int i = 0; i < 3; ++i) {
    Client client(server);
    client.send("end");
    BOOST_TEST(client.is_closed());
  }
  {
    Client client(server);
    client.send("throw");
    BOOST_TEST(client.is_closed());
  }
  Client parked(server);
  BOOST_TEST(soon([&] { return server.stats().ended() == 4 && server.stats().parked == 1; }));
  auto values = metrics(monitor);
  const auto of = [&](const std::string& name, const std::string& label = "") {
    const std::string key = "netserve_" + name + "{server=\"s\"" + label + "}";
    BOOST_TEST(values.contains(key), key);
    return values[key];
  };
  BOOST_TEST(of("connections_accepted_total") == 5);
  BOOST_TEST(of("connections_ended_total", ",outcome=\"served\"") == 3);
  BOOST_TEST(of("connections_ended_total", ",outcome=\"failed\"") == 1);
  BOOST_TEST(of("connections", ",state=\"parked\"") == 1);
  BOOST_TEST(of("connections_open") == 1);
  BOOST_TEST(of("requests_total") == 4);
  BOOST_TEST(of("errors_total", ",kind=\"handler\"") == 1);
  BOOST_TEST(of("request_duration_seconds_count") == 4);
  BOOST_TEST(of("request_duration_seconds_bucket", ",le=\"10\"") == 4);
  BOOST_TEST(of("request_duration_seconds_sum") > 0);
  BOOST_TEST(of("ready") == 1);
}

BOOST_AUTO_TEST_CASE(it_answers_at_once_while_the_service_is_blocked_and_full, *timeout(30)) {
  const LeavesNothing nothing;
  Gate gate;
  net::ServerOptions options = quick();
  options.max_connections = 4;
  options.overload = net::Overload::reject;
  net::TcpServer<Blocking> server(loopback(), options, net::ThreadPool::Options{.workers = 2},
                                  [&] { return Blocking(gate); });
  Running running(server);
  const std::array<net::Watched, 1> watched{{{&server, "s"}}};
  const net::Monitor monitor(any_port(), watched);
  std::list<Client> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(server).send("x");
  BOOST_TEST(soon([&] { return server.load().policy.busy == 2; }));
  BOOST_TEST(Client(server).is_closed());
  for (const char* path : {"/healthz", "/readyz", "/metrics", "/"}) {
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(get(monitor, path).status() == "HTTP/1.1 200 OK");
    const auto took = std::chrono::steady_clock::now() - begin;
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
    BOOST_TEST((took < 100ms));
#else
    BOOST_TEST((took < 5s));
#endif
  }
  auto values = metrics(monitor);
  BOOST_TEST(values["netserve_workers_busy{server=\"s\"}"] == 2);
  BOOST_TEST(values["netserve_workers{server=\"s\"}"] == 2);
  BOOST_TEST(values["netserve_connections_open{server=\"s\"}"] == 4);
  BOOST_TEST(values["netserve_connections_max{server=\"s\"}"] == 4);
  BOOST_TEST(values["netserve_connections_ended_total{server=\"s\",outcome=\"shed_rejected\"}"] ==
             1);
  gate.open();
  for (Client& client : clients) BOOST_TEST(client.receive(1) == "x");
}

BOOST_AUTO_TEST_CASE(streams_tell_of_changes_until_the_monitor_ends, *timeout(30)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(), quick());
  Running running(server);
  std::list<Client> streams;
  {
    const net::Monitor monitor(any_port(), server);
    for (int i = 0; i < 16; ++i) {
      Client& stream = streams.emplace_back(monitor.address());
      stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
      BOOST_TEST(receive(stream).header.find("text/event-stream") != std::string::npos);
    }
    BOOST_TEST(get(monitor, "/events").status().substr(9, 3) == "503");
    Client& stream = streams.front();
    std::string told;
    while (told.find("\"requests\":0,") == std::string::npos) told += stream.receive(1);
    BOOST_TEST(Client(server).ask("x") == "x");
    while (told.find("\"requests\":1,") == std::string::npos) told += stream.receive(1);
    // A stream that ends frees a slot.
    streams.pop_back();
    BOOST_TEST(soon([&] { return get(monitor, "/events").status().substr(9, 3) == "200"; }));
  }
  for (Client& stream : streams) BOOST_TEST(stream.is_closed());
}

BOOST_AUTO_TEST_CASE(it_serves_at_a_unix_socket, *timeout(20)) {
  const LeavesNothing nothing;
  const ScratchDirectory directory;
  net::UnixStreamServer<Echo> server(net::Address::unix_path(directory.path("echo")), quick());
  Running running(server);
  const net::Monitor monitor(net::Address::unix_path(directory.path("monitor")), server);
  BOOST_TEST(get(monitor, "/readyz").body == "ready\n");
}

BOOST_AUTO_TEST_CASE(an_address_that_is_taken_is_an_error, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Echo> server(loopback(), quick());
  BOOST_CHECK_THROW(net::Monitor(server.server_address(), server), std::system_error);
}
