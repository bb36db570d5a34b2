// Servers behind a proxy that names the client of each connection.

#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "support/proxy_headers.hpp"
#include "support/server_test.hpp"

using namespace support;

namespace {

const std::string line_header = "PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\r\n";

// Answers each request with its client, its proxy, and its text.
std::string answer_of(const net::RequestContext& context, std::string_view request) {
  const net::Address* const proxy = context.proxy_address();
  return context.client_address().to_string() + " by " +
         (proxy != nullptr ? proxy->host() + proxy->path() : "nobody") + ": " +
         std::string(request) + "\n";
}

struct Who : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    const auto request = rfile.read_line();
    if (!request) return net::Next::close;
    wfile.write(answer_of(context(), request->substr(0, request->size() - 1)));
    return net::Next::keep;
  }
};

struct WhoConversation : net::StreamRequestHandler {
  void handle() {
    while (const auto request = rfile.read_line()) {
      wfile.write(answer_of(context(), request->substr(0, request->size() - 1)));
    }
  }
};

// Reads from the socket directly: every byte after the header must still be there.
struct WhoBySocket {
  explicit WhoBySocket(net::RequestContext& given) : context_(given) {}
  void handle() {
    std::string request(3, '\0');
    auto rest = std::as_writable_bytes(std::span(request));
    while (!rest.empty()) rest = rest.subspan(context_.socket().recv(rest));
    const std::string answer = answer_of(context_, request.substr(0, 2));
    context_.socket().sendall(net::bytes(answer));
  }
  net::RequestContext& context_;
};

net::ServerOptions behind_proxy(std::chrono::milliseconds time = 5s) {
  net::ServerOptions options = quick();
  options.proxy_protocol = net::ProxyProtocol{net::Networks("127.0.0.0/8, ::1"), time};
  return options;
}

struct Refusals : net::ServerHooks {
  void handle_error(const net::RequestError& error) override {
    const std::lock_guard lock(mutex);
    if (error.phase == net::Phase::proxy_header) texts.push_back(error.what());
  }
  bool verify_request(const net::Socket&, const net::Address& client) override {
    const std::lock_guard lock(mutex);
    verified.push_back(client.to_string());
    return true;
  }
  std::vector<std::string> told() {
    const std::lock_guard lock(mutex);
    return texts;
  }
  std::mutex mutex;
  std::vector<std::string> texts;
  std::vector<std::string> verified;
};

using AllForms =
    std::tuple<With<Who, net::ThreadPool>, With<Who, net::ThreadPerRequest>,
               With<Who, net::ForkPerRequest>, With<Who, net::Inline>,
               With<WhoConversation, net::ThreadPool>, With<WhoConversation, net::ThreadPerRequest>,
               With<WhoConversation, net::ForkPerRequest>, With<WhoConversation, net::Inline>>;

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_see_the_client_and_its_proxy, Form, AllForms) {
  const LeavesNothing nothing;
  typename Form::Server server(loopback(), behind_proxy());
  Running running(server);
  for (const auto& [header, client] : std::initializer_list<std::pair<std::string, std::string>>{
           {line_header, "192.0.2.1:56324 by 127.0.0.1"},
           {ipv4_header("192.0.2.7", 9), "192.0.2.7:9 by 127.0.0.1"},
           {with_checksum(ipv6_header("2001:db8::1", 10)), "[2001:db8::1]:10 by 127.0.0.1"},
           {unix_header("/run/client"), "unix:/run/client by 127.0.0.1"}}) {
    Client client_at_once(server);
    client_at_once.send(header + "hello\n");
    const std::string answer = client + ": hello\n";
    BOOST_TEST(client_at_once.receive(answer.size()) == answer);
    client_at_once.send("hello\n");
    BOOST_TEST(client_at_once.receive(answer.size()) == answer);
    client_at_once.end_sending();
    BOOST_TEST(client_at_once.sees_end());
  }
  BOOST_TEST(running.stop().cut == 0U);
  BOOST_TEST(server.stats().not_introduced == 0U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(without_a_client_in_the_header_the_peer_is_the_client, Policy,
                              Policies) {
  const LeavesNothing nothing;
  net::TcpServer<Who, Policy> server(loopback(), behind_proxy());
  Running running(server);
  for (const std::string& header : {"PROXY UNKNOWN\r\n"s, local_header(), local_header("junk")}) {
    Client client(server);
    client.send(header + "hello\n");
    const std::string answer = client.socket.getsockname().to_string() + " by nobody: hello\n";
    BOOST_TEST(client.receive(answer.size()) == answer);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_header_may_come_byte_by_byte, Policy, Policies) {
  const LeavesNothing nothing;
  net::TcpServer<Who, Policy> server(loopback(), behind_proxy());
  Running running(server);
  std::string header = with_checksum(ipv4_header("192.0.2.7", 9));
  for (const std::string& all : {header, line_header}) {
    Client client(server);
    Client other(server);
    for (const char byte : all.substr(0, all.size() - 1)) client.send(std::string(1, byte));
    // A slow header does not hold up other clients.
    other.send(line_header + "x\n");
    BOOST_TEST(other.receive(10) == "192.0.2.1:");
    client.send(all.substr(all.size() - 1) + "hello\n");
    BOOST_TEST(client.receive(8) == "192.0.2.");
  }
}

BOOST_AUTO_TEST_CASE(a_handler_of_the_socket_finds_all_that_follows_the_header, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<WhoBySocket> server(loopback(), behind_proxy());
  Running running(server);
  Client client(server);
  client.send(ipv4_header("192.0.2.7", 9) + "hi\n");
  BOOST_TEST(client.receive_all() == "192.0.2.7:9 by 127.0.0.1: hi\n");
}

BOOST_AUTO_TEST_CASE(a_unix_server_trusts_who_may_connect, *timeout(20)) {
  const LeavesNothing nothing;
  const ScratchDirectory directory;
  net::ServerOptions options = quick();
  options.proxy_protocol.emplace();
  net::UnixStreamServer<Who> server(net::Address::unix_path(directory.path("s")), options);
  Running running(server);
  Client client(server);
  client.send(ipv4_header("192.0.2.7", 9) + "hi\n");
  const std::string answer = "192.0.2.7:9 by : hi\n";
  BOOST_TEST(client.receive(answer.size()) == answer);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whatever_is_wrong_is_closed_and_counted, Policy, Policies) {
  const LeavesNothing nothing;
  Refusals hooks;
  net::TcpServer<Who, Policy> server(loopback(), behind_proxy(), hooks);
  Running running(server);
  Client bystander(server);
  bystander.send(line_header);
  const std::array<std::string, 7> wrong{
      "GET / HTTP/1.1\r\n\r\n",
      "PROXY TCP4 x y 1 2\r\n",
      "PROXY UNKNOWN" + std::string(1000, 'x'),
      with_checksum(ipv4_header("192.0.2.7", 9), 1),
      with_checksum(local_header(), 1),
      ipv4_header("192.0.2.7", 9, "x"),
      version_2(0x21, 0x11, std::string(5000, '\0')),
  };
  for (const std::string& header : wrong) {
    Client client(server);
    client.send(header + "hello\n");
    BOOST_TEST(client.is_closed());
  }
  {
    Client client(server);
    client.send(line_header.substr(0, 20));
    client.end_sending();
    BOOST_TEST(client.is_closed());
  }
  BOOST_TEST(soon([&] { return server.stats().not_introduced == wrong.size() + 1; }));
  bystander.send("hello\n");
  BOOST_TEST(bystander.receive(10) == "192.0.2.1:");
  bystander.end_sending();
  running.stop();
  const std::vector<std::string> told = hooks.told();
  BOOST_REQUIRE(told.size() == wrong.size() + 1);
  BOOST_TEST(told[0].starts_with("PROXY header: it begins with something else"), told[0]);
  BOOST_TEST(told.back().starts_with("PROXY header: it is cut short"), told.back());
  BOOST_TEST((hooks.verified == std::vector<std::string>{"192.0.2.1:56324"}));
}

BOOST_AUTO_TEST_CASE(a_peer_that_is_not_trusted_is_closed_whatever_it_says, *timeout(20)) {
  const LeavesNothing nothing;
  Refusals hooks;
  net::ServerOptions options = quick();
  options.proxy_protocol = net::ProxyProtocol{net::Networks("192.0.2.0/24")};
  net::TcpServer<Who> server(loopback(), options, hooks);
  Running running(server);
  for (const std::string& header : {line_header, local_header(), "GET"s}) {
    Client client(server);
    try {
      client.send(header + "hello\n");
    } catch (const std::system_error&) {
      // The server has closed the connection already.
    }
    BOOST_TEST(client.is_closed());
  }
  BOOST_TEST(soon([&] { return server.stats().not_introduced == 3; }));
  BOOST_TEST(hooks.told().front().find("no proxy that is trusted") != std::string::npos);
  BOOST_TEST(hooks.verified.empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(who_sends_no_header_in_time_is_closed, Policy, Policies) {
  const LeavesNothing nothing;
  Refusals hooks;
  net::TcpServer<Who, Policy> server(loopback(), behind_proxy(150ms), hooks);
  Running running(server);
  Client silent(server);
  Client slow(server);
  slow.send("PROXY ");
  Client kept(server);
  kept.send(line_header);
  BOOST_TEST(silent.is_closed());
  BOOST_TEST(slow.is_closed());
  BOOST_TEST(soon([&] { return server.stats().not_introduced == 2; }));
  BOOST_TEST(server.stats().time_outs == 2U);
  // The limit for the header ended when the header was complete.
  kept.send("hello\n");
  BOOST_TEST(kept.receive(10) == "192.0.2.1:");
}

BOOST_AUTO_TEST_CASE(a_check_that_only_connects_is_no_error, *timeout(20)) {
  const LeavesNothing nothing;
  Refusals hooks;
  net::TcpServer<Who> server(loopback(), behind_proxy(), hooks);
  Running running(server);
  {
    const Client check(server);
  }
  BOOST_TEST(soon([&] { return server.stats().closed_idle == 1; }));
  BOOST_TEST(hooks.told().empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_drain_waits_for_no_header, Policy, Policies) {
  const LeavesNothing nothing;
  net::TcpServer<Who, Policy> server(loopback(), behind_proxy());
  Running running(server);
  Client silent(server);
  Client arrived(server);
  arrived.send(line_header + "hello\n");
  BOOST_TEST(arrived.receive(10) == "192.0.2.1:");
  const auto begin = std::chrono::steady_clock::now();
  const net::DrainReport report = running.stop();
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 2s));
  BOOST_TEST(report.cut == 0U);
  BOOST_TEST(silent.is_closed());
}

BOOST_AUTO_TEST_CASE(what_a_deadline_cuts_at_the_gate_is_counted_once, *timeout(20)) {
  const LeavesNothing nothing;
  net::TcpServer<Who> server(loopback(), behind_proxy());
  Running running(server);
  Client silent(server);
  BOOST_TEST(soon([&] { return server.stats().active == 1; }));
  BOOST_TEST(running.stop(net::Deadline(0ms)).cut == 1U);
}

BOOST_AUTO_TEST_CASE(options_that_serve_nobody_are_refused, *timeout(20)) {
  net::ServerOptions options = quick();
  options.proxy_protocol.emplace();
  BOOST_CHECK_THROW((net::TcpServer<Who>(loopback(), options)), std::system_error);
  options = behind_proxy(0ms);
  BOOST_CHECK_THROW((net::TcpServer<Who>(loopback(), options)), std::system_error);
  options = behind_proxy();
  BOOST_CHECK_THROW((net::UdpServer<EchoDatagram>(loopback(), options)), std::system_error);
}
