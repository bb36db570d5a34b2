// The records of requests that an application gets.

#include <array>
#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// Keeps the records in memory that children share.
struct Records : QuietHooks {
  struct Told {
    std::uint64_t number;
    net::Outcome outcome;
    Clock::time_point accepted, first_byte, begun, handled, sent;
    std::uint64_t received, sent_bytes;
    std::array<char, 32> policy;
    bool same_server;
  };
  struct Page {
    std::array<Told, 64> told;
    std::atomic<std::size_t> taken{0};
    std::atomic<std::size_t> written{0};
  };

  void on_request(const net::RequestRecord& record) override {
    const std::size_t place = page->taken++;
    Told& told = page->told.at(place);
    told = {record.number,
            record.outcome,
            record.accepted,
            record.first_byte,
            record.begun,
            record.handled,
            record.sent,
            record.bytes_received,
            record.bytes_sent,
            {},
            record.server_address == server};
    record.policy.copy(told.policy.data(), told.policy.size() - 1);
    ++page->written;
  }
  bool come(std::size_t count) const {
    return soon([&] { return page->written >= count; }) && page->written == count;
  }
  const Told& operator[](std::size_t place) const { return page->told.at(place); }

  net::Address server;
  Shared<Page> page;
};

void in_order(const Records::Told& told) {
  BOOST_TEST((told.accepted <= told.first_byte));
  BOOST_TEST((told.first_byte <= told.begun));
  BOOST_TEST((told.begun <= told.handled));
  BOOST_TEST((told.handled <= told.sent));
}

// Answers each line with the number of bytes that it names.
struct Lines : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    if (!received.empty() && received.front() == std::byte{'!'}) {
      throw std::invalid_argument("no line begins so");
    }
    return net::line(received);
  }
  net::Next handle() {
    const std::string line(rfile.read_line().value());
    if (line == "throw\n") {
      wfile.write(std::string_view("no"));
      throw std::runtime_error("as asked");
    }
    if (line == "detach\n") {
      context().detach().sendall(net::bytes("bye"));
      return net::Next::close;
    }
    wfile.write(pattern(std::stoul(line)));
    return net::Next::keep;
  }
};

struct Pieces : net::StreamRequestHandler {
  static constexpr int count = 5;
  static constexpr std::size_t size = 300'000;
  int left = 0;
  net::Next handle() {
    if (left == 0) {
      rfile.read_some();
      left = count;
    }
    wfile.write(pattern(size));
    return --left != 0 ? net::Next::more : net::Next::keep;
  }
};

// Sends its answer to a bare socket in pieces.
struct RawPieces : net::BaseRequestHandler {
  int left = 0;
  net::Next handle() {
    if (left == 0) {
      std::array<std::byte, 100> room;
      if (request().recv(room) == 0) return net::Next::close;
      left = 3;
    }
    request().sendall(net::bytes("piece "));
    return --left != 0 ? net::Next::more : net::Next::keep;
  }
};

// Answers at once, then in pieces, then throws between two pieces.
struct Mixed : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  int calls = 0;
  net::Next handle() {
    if (calls == 0) {
      const std::string line(rfile.read_line().value());
      wfile.write(line);
      if (line == "quick\n") return net::Next::keep;
      if (line == "close\n") return net::Next::close;
    }
    if (++calls == 3) {
      wfile.write("last");
      throw std::runtime_error("as asked");
    }
    wfile.write("piece ");
    return net::Next::more;
  }
};

struct RawEcho : net::BaseRequestHandler {
  net::Next handle() {
    std::array<std::byte, 100> room;
    const std::size_t size = request().recv(room);
    if (size == 0) return net::Next::close;
    request().sendall(std::span(room).first(size));
    return net::Next::keep;
  }
};

template <class P>
std::string_view name_of() {
  if constexpr (std::same_as<P, net::ThreadPool>) return "net::ThreadPool";
  if constexpr (std::same_as<P, net::ThreadPerRequest>) return "net::ThreadPerRequest";
  if constexpr (std::same_as<P, net::ForkPerRequest>) return "net::ForkPerRequest";
  return "net::Inline";
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(each_request_is_told_with_its_times_and_bytes, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::TcpServer<Lines, Policy> server(loopback(), quick(), records);
  records.server = server.server_address();
  Running running(server);
  {
    Client client(server);
    client.send("3\n");
    client.receive(3);
    BOOST_TEST(records.come(1));
    client.send("12");
    client.send("00\n");
    client.receive(1200);
    BOOST_TEST(records.come(2));
  }
  running.stop();
  BOOST_TEST(records.come(2));
  for (const std::size_t place : {0U, 1U}) {
    in_order(records[place]);
    BOOST_TEST(records[place].number == place + 1);
    BOOST_TEST((records[place].outcome == net::Outcome::served));
    BOOST_TEST(records[place].policy.data() == name_of<Policy>());
    BOOST_TEST(records[place].same_server);
  }
  BOOST_TEST(records[0].received == 2U);
  BOOST_TEST(records[0].sent_bytes == 3U);
  BOOST_TEST(records[1].received == 5U);
  BOOST_TEST(records[1].sent_bytes == 1200U);
  BOOST_TEST((records[0].sent <= records[1].first_byte));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipelined_requests_are_told_one_by_one, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::TcpServer<Lines, Policy> server(loopback(), quick(), records);
  Running running(server);
  {
    Client client(server);
    client.send("10\n200\n3\n");
    client.receive(213);
    BOOST_TEST(records.come(3));
  }
  running.stop();
  BOOST_TEST(records.come(3));
  const std::array<std::uint64_t, 3> received{3, 4, 2};
  const std::array<std::uint64_t, 3> sent{10, 200, 3};
  for (std::size_t place = 0; place < 3; ++place) {
    in_order(records[place]);
    BOOST_TEST(records[place].number == place + 1);
    BOOST_TEST(records[place].received == received.at(place));
    BOOST_TEST(records[place].sent_bytes == sent.at(place));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_that_waits_for_its_client_is_told_when_it_is_sent, Policy,
                              Policies) {
  const LeavesNothing nothing;
  struct Hooks : Records {
    void server_bind(net::Socket& listener, const net::Address& address) override {
      listener.setsockopt(net::SocketOption::send_buffer, 4096);
      net::ServerHooks::server_bind(listener, address);
    }
  } records;
  net::ServerOptions options = quick();
  options.write_buffer = 4 << 20;
  net::TcpServer<Lines, Policy> server(loopback(), options, records);
  Running running(server);
  {
    Client client(Client::slow_reader(server));
    client.send("2000000\n");
    client.receive(1);
    BOOST_TEST(soon([&] { return server.stats().requests == 1; }));
    BOOST_TEST(records.page->written == 0U);
    client.receive(1'999'999);
    BOOST_TEST(records.come(1));
    BOOST_TEST((records[0].outcome == net::Outcome::served));
    BOOST_TEST(records[0].sent_bytes == 2'000'000U);
    in_order(records[0]);
    client.send("3000000\n");
    client.receive(1);
    client.reset();
  }
  BOOST_TEST(records.come(2));
  running.stop();
  BOOST_TEST(records[1].sent_bytes > 0U);
  BOOST_TEST(records[1].sent_bytes < 3'000'000U);
  BOOST_TEST((records[1].sent == Clock::time_point{}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(requests_that_fail_are_told_with_how, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::ServerOptions options = quick();
  options.limits.request = 300ms;
  net::TcpServer<Lines, Policy> server(loopback(), options, records);
  Running running(server);
  Client(server).send("throw\n");
  BOOST_TEST(records.come(1));
  BOOST_TEST((records[0].outcome == net::Outcome::failed));
  BOOST_TEST(records[0].received == 6U);
  BOOST_TEST(records[0].sent_bytes == 2U);

  Client late(server);
  late.send("12");
  BOOST_TEST(records.come(2));
  BOOST_TEST((records[1].outcome == net::Outcome::timed_out));
  BOOST_TEST(records[1].received == 2U);
  BOOST_TEST((records[1].begun == Clock::time_point{}));

  Client malformed(server);
  malformed.send("7\n!\n");
  BOOST_TEST(records.come(4));
  BOOST_TEST((records.page->told[2].outcome == net::Outcome::served));
  BOOST_TEST((records.page->told[3].outcome == net::Outcome::failed));
  BOOST_TEST(records[3].number == 2U);
  BOOST_TEST(records[3].received == 2U);

  Client detached(server);
  detached.send("detach\n");
  BOOST_TEST(detached.receive_all() == "bye");
  BOOST_TEST(records.come(5));
  BOOST_TEST((records[4].outcome == net::Outcome::served));
  BOOST_TEST(records[4].received == 7U);
  running.stop();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_in_pieces_is_one_record, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::TcpServer<Pieces, Policy> server(loopback(), quick(), records);
  Running running(server);
  {
    Client client(server);
    for (const std::size_t round : {1U, 2U}) {
      client.send("go");
      client.receive(Pieces::count * Pieces::size);
      BOOST_TEST(records.come(round));
      BOOST_TEST(records[round - 1].sent_bytes == Pieces::count * Pieces::size);
      BOOST_TEST(records[round - 1].received == 2U);
      in_order(records[round - 1]);
    }
  }
  running.stop();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_of_the_bare_socket_and_conversations_are_told_of, Policy,
                              Policies) {
  const LeavesNothing nothing;
  Records of_raw;
  net::TcpServer<RawEcho, Policy> raw(loopback(), quick(), of_raw);
  Records of_conversations;
  net::TcpServer<EchoConversation, Policy> conversations(loopback(), quick(), of_conversations);
  Running running_raw(raw);
  Running running_conversations(conversations);
  {
    Client client(raw);
    client.ask("abc");
    BOOST_TEST(of_raw.come(1));
    client.ask("defgh");
  }
  {
    Client client(conversations);
    client.ask("abc");
    client.ask("defgh");
  }
  BOOST_TEST(of_conversations.come(1));
  running_raw.stop();
  running_conversations.stop();
  BOOST_TEST(of_raw.come(2));  // the end of the stream is not a request
  BOOST_TEST(of_raw[1].received == 5U);
  BOOST_TEST(of_raw[1].sent_bytes == 5U);
  BOOST_TEST((of_raw[0].first_byte <= of_raw[0].handled));
  BOOST_TEST(of_conversations[0].received == 8U);
  BOOST_TEST(of_conversations[0].sent_bytes == 8U);
  BOOST_TEST((of_conversations[0].outcome == net::Outcome::served));
  BOOST_TEST((of_conversations[0].sent != Clock::time_point{}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_is_told_of, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::UdpServer<EchoDatagram, Policy> server(loopback(), quick(), records);
  Running running(server);
  DatagramClient client(server);
  BOOST_TEST(client.ask("hello") == "hello");
  BOOST_TEST(records.come(1));
  BOOST_TEST(client.ask("") == "");
  BOOST_TEST(records.come(2));
  running.stop();
  BOOST_TEST(records[0].received == 5U);
  BOOST_TEST(records[0].sent_bytes == 5U);
  BOOST_TEST(records[1].received == 0U);
  in_order(records[0]);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_exception_of_the_hook_costs_nobody_anything, Policy, Policies) {
  const LeavesNothing nothing;
  struct Throwing : QuietHooks {
    void on_request(const net::RequestRecord&) override { throw std::runtime_error("no room"); }
  } hooks;
  net::TcpServer<LineEcho, Policy> server(loopback(), quick(), hooks);
  Running running(server);
  {
    Client client(server);
    BOOST_TEST(client.ask("a\n") == "a\n");
    BOOST_TEST(client.ask("b\n") == "b\n");
    BOOST_TEST(soon([&] { return server.stats().hook_errors == 2; }));
  }
  running.stop();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pieces_to_a_bare_socket_are_told_when_they_are_sent, Policy,
                              Policies) {
  const LeavesNothing nothing;
  Records records;
  net::TcpServer<RawPieces, Policy> server(loopback(), quick(), records);
  Running running(server);
  {
    Client client(server);
    for (const std::size_t round : {1U, 2U}) {
      client.send("go");
      client.receive(18);
      BOOST_TEST(records.come(round));
      BOOST_TEST(records[round - 1].sent_bytes == 18U);
    }
  }
  running.stop();
  BOOST_TEST(records.come(2));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(each_of_a_mixed_row_has_its_own_end, Policy, Policies) {
  const LeavesNothing nothing;
  Records records;
  net::TcpServer<Mixed, Policy> server(loopback(), quick(), records);
  Running running(server);
  {
    Client client(server);
    client.send("quick\nslow\nnext\n");
    BOOST_TEST(client.receive_all() == "quick\nslow\npiece piece last");
  }
  BOOST_TEST(records.come(2));
  BOOST_TEST((records[0].outcome == net::Outcome::served));
  BOOST_TEST(records[0].sent_bytes == 6U);
  BOOST_TEST((records[0].sent <= records[1].handled));
  BOOST_TEST((records[1].outcome == net::Outcome::failed));
  BOOST_TEST(records[1].received == 5U);
  BOOST_TEST(records[1].sent_bytes == 21U);
  {
    // Bytes that arrive after the last request are no request, so they get no record.
    Client client(server);
    client.send("close\nnext\nnext\n");
    BOOST_TEST(client.receive(6) == "close\n");
    BOOST_TEST(client.is_closed());
  }
  running.stop();
  BOOST_TEST(records.come(3));
  BOOST_TEST(records[2].received == 6U);
}
