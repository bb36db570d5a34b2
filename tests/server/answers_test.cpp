// Answers to clients that read slowly, or that keep sending meanwhile.

#include <poll.h>

#include <list>
#include <stdexcept>
#include <string>

#include "support/server_test.hpp"

namespace {

// Answers with as many bytes as a line says. Closes if "last" follows the number.
struct Sender : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    const bool last = line->find("last") != std::string_view::npos;
    wfile.write(pattern(std::stoul(std::string(*line))));
    return last ? net::Next::close : net::Next::keep;
  }
};

// Answers with as many bytes as a line says, in pieces.
struct PieceSender : Sender {
  net::Next handle() {
    const std::string answer = pattern(std::stoul(std::string(rfile.read_line().value())));
    std::string_view rest = answer;
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 6'000);
      wfile.write(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    return net::Next::close;
  }
};

// Takes one byte, and answers with many bytes.
struct Talker : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some(1);
    wfile.write(pattern(4'000'000));
    return net::Next::close;
  }
};

struct TalkerConversation : Talker {
  void handle() { Talker::handle(); }
};

using Talkers = std::tuple<
    With<Talker, net::ThreadPool>, With<Talker, net::ThreadPerRequest>,
    With<Talker, net::ForkPerRequest>, With<Talker, net::Inline>,
    With<TalkerConversation, net::ThreadPool>, With<TalkerConversation, net::ThreadPerRequest>,
    With<TalkerConversation, net::ForkPerRequest>, With<TalkerConversation, net::Inline>>;

// Writes byte by byte, and lets the writer collect the bytes. One for each form of handler.
struct Collecting : net::StreamRequestHandler {
  void setup() override { wfile.set_buffer(1000); }
  net::Next handle() {
    for (const char letter : rfile.read_some()) wfile.write(std::string_view(&letter, 1));
    return net::Next::keep;
  }
  void finish() override { wfile.write("bye"); }
};

struct CollectingConversation : net::StreamRequestHandler {
  void setup() override { wfile.set_buffer(1000); }
  void handle() {
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) {
      for (const char letter : text) wfile.write(std::string_view(&letter, 1));
      wfile.flush();
    }
  }
  void finish() override { wfile.write("bye"); }
};

struct CollectingThrower : Collecting {
  net::Next handle() {
    Collecting::handle();
    return net::Next::close;
  }
  void finish() override { throw std::runtime_error("as asked"); }
};

using CollectingForms =
    std::tuple<With<Collecting, net::ThreadPool>, With<Collecting, net::ForkPerRequest>,
               With<Collecting, net::Inline>, With<CollectingConversation, net::ThreadPool>,
               With<CollectingConversation, net::ForkPerRequest>,
               With<CollectingConversation, net::ThreadPerRequest>>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_answers, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_arrives_whole_though_input_was_left, Form, Talkers) {
  net::ServerOptions options = quick();
  options.linger = 10s;
  typename Form::Server server{loopback(), options};
  Running running{server};
  Client client{server};
  std::thread sender([&] {
    client.send(pattern(300'000));
    client.end_sending();
  });
  const std::string answer = client.receive_all();
  BOOST_TEST((answer == pattern(4'000'000)));
  sender.join();
  running.stop();
  BOOST_TEST(server.stats().served == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_slow_reader_holds_no_worker, Policy, ThreadPolicies) {
  SmallBuffers hooks;
  net::TcpServer<Sender, Policy> server{loopback(), quick(), hooks, at_once<Policy>(1)};
  Running running{server};
  for (const char* const request : {"200000\n", "200000 last\n"}) {
    Client slow{Client::slow_reader(server)};
    const auto before = server.stats().requests;
    slow.send(request);
    BOOST_TEST(soon([&] { return server.stats().requests == before + 1; }));
    Client other{server};
    other.send("5\n");
    BOOST_TEST(other.receive(5) == pattern(5));
    BOOST_TEST((slow.receive(200'000) == pattern(200'000)));
    slow.end_sending();
    BOOST_TEST(slow.sees_end());
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_next_request_waits_until_the_answer_is_sent, Policy,
                              ThreadPolicies) {
  SmallBuffers hooks;
  net::TcpServer<Sender, Policy> server{loopback(), quick(), hooks, at_once<Policy>(1)};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("200000\n3\n200000 last\n");
  Client other{server};
  other.send("5\n");
  BOOST_TEST(other.receive(5) == pattern(5));
  BOOST_TEST(server.stats().requests == 2U);
  BOOST_TEST((slow.receive_all() == pattern(200'000) + pattern(3) + pattern(200'000)));
  BOOST_TEST(server.stats().requests == 4U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_beyond_the_write_buffer_arrives, Policy, Policies) {
  SmallBuffers hooks;
  net::ServerOptions options = quick();
  options.write_buffer = 10'000;
  net::TcpServer<Sender, Policy> server{loopback(), options, hooks};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("300000\n3\n");
  BOOST_TEST((slow.receive(300'003) == pattern(300'000) + pattern(3)));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_in_pieces_beyond_the_write_buffer_arrives_once, Policy,
                              Policies) {
  SmallBuffers hooks;
  net::ServerOptions options = quick();
  options.write_buffer = 10'000;
  net::TcpServer<PieceSender, Policy> server{loopback(), options, hooks};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("300000\n");
  BOOST_TEST((slow.receive_all() == pattern(300'000)));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_collected_is_sent_though_finish_throws, Policy, Policies) {
  QuietHooks hooks;
  net::TcpServer<CollectingThrower, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  Client client{server};
  client.send("hello");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "hello");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_drain_waits_for_a_slow_reader, Policy, Policies) {
  SmallBuffers hooks;
  net::TcpServer<Sender, Policy> server{loopback(), quick(), hooks};
  Running running{server};
  Client slow{Client::slow_reader(server)};
  slow.send("200000\n");
  BOOST_TEST(soon([&] { return server.stats().requests == 1; }));
  std::string answer;
  std::thread reader([&] { answer = slow.receive_all(); });
  const net::DrainReport report = running.stop(10s);
  reader.join();
  BOOST_TEST((answer == pattern(200'000)));
  BOOST_TEST(report.cut + report.dropped + report.stuck == 0U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_that_resets_ends_its_connection_alone, Form, EchoForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client gone{server};
  BOOST_TEST(gone.ask("hello") == "hello");
  gone.reset();
  BOOST_TEST(soon([&] { return server.stats().ended() == 1; }));
  BOOST_TEST(server.stats().peer_gone == 1U);
  BOOST_TEST(Client(server).ask("still here") == "still here");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_handler_collects_is_sent_at_its_end, Form, CollectingForms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("one") == "one");
  BOOST_TEST(client.ask("two") == "two");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "bye");
}

// More connections that found input return from a park than one wait of the lot takes.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(each_line_of_many_clients_at_once_is_answered, P, ThreadPolicies) {
  constexpr std::size_t clients = 200;
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "0123456789\n";
  net::TcpServer<LineEcho, P> server{loopback(), quick()};
  std::list<Client> connected;
  for (std::size_t i = 0; i < clients; ++i) connected.emplace_back(server).send(lines);
  Running running{server};
  for (Client& client : connected) BOOST_REQUIRE(client.receive(lines.size()) == lines);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_descriptor_is_readable_while_requests_wait, P, ThreadPolicies) {
  constexpr std::size_t lines = 300;
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) text += "0123456789\n";
  net::ServerOptions options = quick();
  options.timeout = 5s;
  net::TcpServer<LineEcho, P> server{loopback(), options};
  Client first{server};
  Client second{server};
  first.send(text);
  second.send(text);
  while (server.stats().requests < 2 * lines) {
    const bool readable = soon([&] {
      pollfd polled{server.fileno(), POLLIN, 0};
      return ::poll(&polled, 1, 0) == 1 || server.stats().requests == 2 * lines;
    });
    BOOST_REQUIRE(readable);
    if (server.stats().requests < 2 * lines) server.handle_request();
  }
  BOOST_TEST(first.receive(text.size()) == text);
  BOOST_TEST(second.receive(text.size()) == text);
  server.server_close();
}

BOOST_AUTO_TEST_SUITE_END()
