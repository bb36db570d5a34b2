// Handlers that read from the socket directly: when they are called, and when not.

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <ctime>
#include <string>

#include "support/server_test.hpp"

namespace {

struct Counts {
  std::atomic<int> calls{0};
  std::atomic<int> nothing{0};  // calls with nothing to read
  std::atomic<int> ends{0};
};

// Echoes the bytes of one receive, into a buffer of `Size` bytes.
template <std::size_t Size>
struct RawEcho : net::BaseRequestHandler {
  explicit RawEcho(Counts& shared) : counts(shared) {}
  net::Next handle() {
    ++counts.calls;
    std::array<std::byte, Size> buffer;
    const auto count = request().try_recv(buffer);
    if (!count) ++counts.nothing;
    if (count == 0U) ++counts.ends;
    request().sendall(std::span(buffer).first(count.value_or(0)));
    return net::Next::keep;
  }
  Counts& counts;
};

// Reads nothing until at least four bytes have arrived, and then all of them.
struct RawPicky : net::BaseRequestHandler {
  explicit RawPicky(Counts& shared) : counts(shared) {}
  net::Next handle() {
    ++counts.calls;
    std::array<std::byte, 100> buffer;
    // MSG_PEEK leaves the bytes in the socket.
    const auto there = ::recv(request().fileno(), buffer.data(), buffer.size(), MSG_PEEK);
    if (there >= 4) request().sendall(std::span(buffer).first(request().recv(buffer)));
    return net::Next::keep;
  }
  Counts& counts;
};

// Looks once, and returns only when the gate is open. It has not seen the bytes that arrive
// meanwhile.
struct NativeLate : net::BaseRequestHandler {
  struct Gates {
    Gate looked;
    Gate go_on;
  };
  explicit NativeLate(Gates& shared) : gates(shared) {}
  net::Next handle() {
    std::array<char, 100> buffer{};
    const auto there = ::recv(request().fileno(), buffer.data(), buffer.size(), MSG_PEEK);
    gates.looked.open();
    gates.go_on.wait();
    if (there < 2) return net::Next::keep;
    const auto count = ::recv(request().fileno(), buffer.data(), buffer.size(), 0);
    ::send(request().fileno(), buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
    return net::Next::keep;
  }
  Gates& gates;
};

// Answers each byte with 2,000,000 bytes, in pieces for which the socket usually has space.
struct NativeAnswer : net::BaseRequestHandler {
  net::Next handle() {
    if (left == 0) {
      char byte = 0;
      if (::recv(request().fileno(), &byte, 1, 0) != 1) return net::Next::close;
      left = 2'000'000;
    }
    static const std::string piece = pattern(10'000);
    const auto sent = ::send(request().fileno(), piece.data(), std::min(left, piece.size()),
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) left -= static_cast<std::size_t>(sent);
    return left > 0 ? net::Next::more : net::Next::keep;
  }
  std::size_t left = 0;
};

// Receives a part of the bytes, by system calls of its own.
struct NativeParts : net::BaseRequestHandler {
  net::Next handle() {
    std::array<char, 64> buffer{};
    const auto count = ::recv(request().fileno(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return net::Next::close;
    ::send(request().fileno(), buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
    return net::Next::keep;
  }
};

// Echoes by system calls of its own, which the library does not see.
struct NativeEcho : net::BaseRequestHandler {
  net::Next handle() {
    std::array<std::byte, 100> buffer;
    const auto count = ::recv(request().fileno(), buffer.data(), buffer.size(), 0);
    ::send(request().fileno(), buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
    return net::Next::keep;
  }
};

// As NativeEcho, but returns when the client's next request has arrived, if there is one.
struct NativeEchoLate : NativeEcho {
  net::Next handle() {
    NativeEcho::handle();
    pollfd next{request().fileno(), POLLIN, 0};
    ::poll(&next, 1, 200);
    return net::Next::keep;
  }
};

// Has no base class, and reads lines from the stream of its context.
class LineReader {
 public:
  explicit LineReader(net::RequestContext& context)
      : reader_(context.stream()), writer_(context.stream()) {}
  net::Next handle() {
    const auto line = reader_.read_line();
    if (!line) return net::Next::close;
    writer_.write(*line);
    return net::Next::keep;
  }

 private:
  net::StreamReader reader_;
  net::StreamWriter writer_;
};

// Greets its client in a call of its own, and then echoes four bytes at a time.
struct Greeter : net::BaseRequestHandler {
  net::Next handle() {
    if (!greeted) {
      greeted = true;
      request().sendall(net::bytes("hello "), 5s);
      return net::Next::more;
    }
    std::array<std::byte, 4> buffer;
    request().sendall(std::span(buffer).first(request().recv(buffer)), 5s);
    return net::Next::keep;
  }
  bool greeted = false;
};

template <class H, class P>
struct Serving {
  explicit Serving(const net::ServerOptions& options = quick())
      : server(loopback(), options, hooks, at_once<P>(1), [this] { return H(*counts); }),
        running(server) {}
  const Shared<Counts> counts;
  QuietHooks hooks;
  net::TcpServer<H, P> server;
  Running running;
};

Client prompt_client(const net::BaseServer& server) {
  net::Socket socket = net::create_connection(server.server_address(), 5s);
  socket.setsockopt(net::SocketOption::no_delay, 1);
  return Client{std::move(socket)};
}

// The CPU time of this process and of the children that it has waited for.
std::chrono::nanoseconds cpu_time() {
  timespec own{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
  rusage children{};
  ::getrusage(RUSAGE_CHILDREN, &children);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return std::chrono::seconds(own.tv_sec) + std::chrono::nanoseconds(own.tv_nsec) +
         of(children.ru_utime) + of(children.ru_stime);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_raw, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_full_buffer_is_followed_by_a_look_and_not_by_a_call, Policy,
                              Policies) {
  Serving<RawEcho<4096>, Policy> serving;
  Client full{prompt_client(serving.server)};
  BOOST_TEST((full.ask(pattern(4096)) == pattern(4096)));
  full.end_sending();
  BOOST_TEST(full.sees_end());
  BOOST_TEST(serving.counts->calls == 2);
  BOOST_TEST(serving.counts->nothing == 0);
  BOOST_TEST(serving.counts->ends == 1);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_full_buffer_holds_nobody_up, Policy, ThreadPolicies) {
  Serving<RawEcho<4096>, Policy> serving;
  Client full{prompt_client(serving.server)};
  BOOST_TEST((full.ask(pattern(4096)) == pattern(4096)));
  BOOST_TEST(Client(serving.server).ask("hi") == "hi");
  BOOST_TEST((full.ask(pattern(8192)) == pattern(8192)));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_end_behind_the_last_bytes_is_seen_at_once, Policy, Policies) {
  Serving<RawEcho<100>, Policy> whole;
  Serving<RawEcho<2>, Policy> part;
  for (const net::BaseServer* const server : {static_cast<net::BaseServer*>(&whole.server),
                                              static_cast<net::BaseServer*>(&part.server)}) {
    Client client{*server};
    client.send("abc");
    client.end_sending();
    BOOST_TEST(client.receive_all() == "abc");
    BOOST_TEST(soon([&] { return server->stats().served == 1; }));
  }
  BOOST_TEST(whole.counts->calls == 2);
  BOOST_TEST(part.counts->calls == 3);
  BOOST_TEST(whole.counts->nothing + part.counts->nothing == 0);
  BOOST_TEST(whole.counts->ends + part.counts->ends == 2);
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(no_call_finds_nothing_to_read, Policy, Policies) {
  Serving<RawEcho<3>, Policy> serving;
  Client client{prompt_client(serving.server)};
  const std::string text = pattern(3000);
  std::thread sender([&] {
    for (std::size_t at = 0; at < text.size(); at += 5) client.send(text.substr(at, 5));
    client.end_sending();
  });
  BOOST_TEST((client.receive_all() == text));
  sender.join();
  BOOST_TEST(serving.counts->nothing == 0);
  BOOST_TEST(serving.counts->ends == 1);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_came_after_a_handler_looked_is_not_lost, Policy, Policies) {
  NativeLate::Gates gates;
  net::TcpServer<NativeLate, Policy> server(loopback(), quick(), [&] { return NativeLate(gates); });
  Running running(server);
  Client client(server);
  client.send("a");
  BOOST_TEST(gates.looked.wait());
  client.send("b");
  gates.go_on.open();
  BOOST_TEST(client.receive(2) == "ab");
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_AUTO_TEST_CASE_TEMPLATE(an_answer_goes_on_while_the_socket_has_room, Policy, Policies) {
  net::TcpServer<NativeAnswer, Policy> server(loopback(), quick());
  Running running(server);
  Client client(server);
  client.send("a");
  BOOST_TEST(client.receive(2'000'000).size() == 2'000'000U);
  // The next request arrives while the answer is being sent.
  client.send("b");
  BOOST_TEST(client.receive(1'000'000).size() == 1'000'000U);
  client.send("c");
  BOOST_TEST(client.receive(3'000'000).size() == 3'000'000U);
  client.end_sending();
  BOOST_TEST(client.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_that_takes_a_part_is_called_for_the_rest, Policy,
                              Policies) {
  net::TcpServer<NativeParts, Policy> server(loopback(), quick());
  Running running(server);
  const std::string text = pattern(500);
  Client client(server);
  BOOST_TEST(client.ask(text) == text);
  client.send(text);
  client.end_sending();
  BOOST_TEST(client.receive_all() == text);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_left_in_the_socket_waits_for_more, Policy, Policies) {
  const auto before = cpu_time();
  {
    Serving<RawPicky, Policy> serving;
    Client client{prompt_client(serving.server)};
    client.send("a");
    BOOST_TEST(soon([&] { return serving.counts->calls == 1; }));
    // A server that spins would call the handler again, or at least use CPU time.
    std::this_thread::sleep_for(500ms);
    BOOST_TEST(serving.counts->calls == 1);
    client.send("b");
    BOOST_TEST(soon([&] { return serving.counts->calls == 2; }));
    client.send("cd");
    BOOST_TEST(client.receive(4) == "abcd");
    // The second call may have found these bytes already, because it counts before it looks.
    const int calls = serving.counts->calls;
    BOOST_TEST(calls <= 3);
    client.send("e");
    BOOST_TEST(soon([&] { return serving.counts->calls == calls + 1; }));
    // No more bytes can arrive, so the rest is not a request. But the event of the end does not
    // tell whether bytes came before it.
    client.end_sending();
    BOOST_TEST(client.is_closed());
    BOOST_TEST(soon([&] { return serving.server.stats().served == 1; }));
    BOOST_TEST(serving.counts->calls <= calls + 2);
  }
  BOOST_TEST((cpu_time() - before < 300ms));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_left_in_the_socket_has_the_request_limit, Policy, Policies) {
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  Serving<RawPicky, Policy> serving{options};
  Client client{serving.server};
  client.send("a");
  BOOST_TEST(client.is_closed());
  BOOST_TEST(soon([&] { return serving.server.stats().timed_out == 1; }));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(reads_of_the_system_are_reads_as_well, Policy, Policies) {
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  net::TcpServer<NativeEcho, Policy> server{loopback(), options};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("one") == "one");
  // Longer than the request limit, which must not apply between two requests.
  std::this_thread::sleep_for(400ms);
  BOOST_TEST(client.ask("two") == "two");
  client.end_sending();
  BOOST_TEST(client.sees_end());
  BOOST_TEST(soon([&] { return server.stats().served == 1; }));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_request_as_long_as_the_one_before_is_not_taken_for_it, Policy,
                              Policies) {
  net::TcpServer<NativeEchoLate, Policy> server{loopback(), quick(), at_once<Policy>(1)};
  Running running{server};
  Client client{prompt_client(server)};
  for (const std::string_view request : {"one", "two", "six"}) {
    BOOST_TEST(client.ask(request) == request);
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_handler_without_a_base_may_read_the_stream, Policy, Policies) {
  net::TcpServer<LineReader, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  BOOST_TEST(client.ask("a\nbc\ndef\n") == "a\nbc\ndef\n");
  BOOST_TEST(client.ask("again\n") == "again\n");
  client.send("the\nlast\n");
  client.end_sending();
  BOOST_TEST(client.receive_all() == "the\nlast\n");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_read_after_more_is_no_request_any_longer, Policy, Policies) {
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  net::TcpServer<Greeter, Policy> server{loopback(), options};
  Running running{server};
  Client client{prompt_client(server)};
  client.send("four");
  BOOST_TEST(client.receive(10) == "hello four");
  // Longer than the request limit, which must not apply between two requests.
  std::this_thread::sleep_for(400ms);
  BOOST_TEST(client.ask("next") == "next");
  client.end_sending();
  BOOST_TEST(client.sees_end());
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_reset_ends_a_raw_connection_alone, Policy, Policies) {
  Serving<RawEcho<100>, Policy> serving;
  Client gone{serving.server};
  BOOST_TEST(gone.ask("hello") == "hello");
  gone.reset();
  BOOST_TEST(soon([&] { return serving.server.stats().ended() == 1; }));
  BOOST_TEST(serving.server.stats().peer_gone == 1U);
  BOOST_TEST(serving.counts->calls == 1);
  BOOST_TEST(Client(serving.server).ask("still here") == "still here");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(descriptors_in_a_stream_hide_nothing_behind_them, Policy, Policies) {
  const auto try_with = [](auto& server) {
    Running running{server};
    Client client{server};
    const std::array<int, 1> descriptors{client.socket.fileno()};
    for (const std::string_view part : {"one ", "two ", "three"}) {
      BOOST_TEST(net::send_fds(client.socket, net::bytes(part), descriptors) == part.size());
    }
    client.send(" four");
    BOOST_TEST(client.receive(18) == "one two three four");
    client.end_sending();
    BOOST_TEST(client.sees_end());
  };
  net::UnixStreamServer<Echo, Policy> reading_ahead{net::Address::unix_unnamed(), quick()};
  try_with(reading_ahead);
  const Shared<Counts> counts;
  net::UnixStreamServer<RawEcho<100>, Policy> raw{net::Address::unix_unnamed(), quick(),
                                                  [&] { return RawEcho<100>(*counts); }};
  try_with(raw);
}

BOOST_AUTO_TEST_SUITE_END()
