// Large answers that occupy no worker: files, and answers in pieces. However slowly clients read,
// others are served.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "support/server_test.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t file_size = 9'000'000;  // larger than a part, and than all buffers
constexpr int pieces = 90;
constexpr std::size_t piece_size = 100'000;

const std::string content = pattern(file_size);
const std::string piece = pattern(piece_size);

net::Descriptor file_of(std::size_t size) {
  net::Descriptor file(::memfd_create("answer", MFD_CLOEXEC));
  if (::write(file.get(), content.data(), size) != static_cast<ssize_t>(size)) {
    throw std::runtime_error("write");
  }
  return file;
}

// Answers a line: "file" with a file between brackets, "part" with a part of it, "pieces" with
// many pieces between brackets; anything else with itself.
struct Answers : net::StreamRequestHandler {
  net::Next answer() {
    if (left > 0) return go_on();
    const auto line = rfile.read_line();
    if (!line) return net::Next::close;
    if (*line == "file\n") {
      wfile.write("[");
      wfile.send_file(file_of(file_size).get());
      wfile.write("]");
    } else if (*line == "two\n") {
      wfile.send_file(file_of(file_size).get());
      wfile.write(":");
      wfile.send_file(file_of(1000).get(), 10, 20);
    } else if (*line == "last\n") {
      wfile.send_file(file_of(file_size).get());
      return net::Next::close;
    } else if (*line == "pieces\n") {
      wfile.write("[");
      left = pieces;
      return net::Next::more;
    } else {
      wfile.write(*line);
    }
    return net::Next::keep;
  }
  net::Next go_on() {
    wfile.write(piece);
    if (--left > 0) return net::Next::more;
    wfile.write("]");
    return net::Next::keep;
  }
  int left = 0;
};

struct Large : Answers {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() { return answer(); }
};

struct LargeConversation : Answers {
  void handle() {
    while (answer() != net::Next::close) {
    }
  }
};

using Forms = std::tuple<With<Large, net::ThreadPool>, With<Large, net::ThreadPerRequest>,
                         With<Large, net::ForkPerRequest>, With<Large, net::Inline>,
                         With<LargeConversation, net::ThreadPool>>;
using Parked = std::tuple<With<Large, net::ThreadPool>, With<Large, net::ThreadPerRequest>,
                          With<Large, net::Inline>>;

std::string whole_file() { return "[" + content + "]"; }
std::string whole_pieces() {
  std::string all = "[";
  for (int i = 0; i < pieces; ++i) all += piece;
  return all + "]";
}

// A check of the texts themselves would print millions of bytes.
bool same(const std::string& one, const std::string& other) { return one == other; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_large_answer, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(answers_of_any_size_arrive_in_order, Form, Forms) {
  typename Form::Server server{loopback(), quick()};
  Running running{server};
  Client client{server};
  // The requests are pipelined, and each waits for the answers before it.
  client.send("file\nhello\npieces\nthere\ntwo\nagain\nlast\n");
  BOOST_TEST(same(client.receive(whole_file().size()), whole_file()));
  BOOST_TEST(client.receive(6) == "hello\n");
  BOOST_TEST(same(client.receive(whole_pieces().size()), whole_pieces()));
  BOOST_TEST(client.receive(6) == "there\n");
  BOOST_TEST(same(client.receive(file_size), content));
  BOOST_TEST(client.receive(21) == ":" + content.substr(10, 20));
  BOOST_TEST(client.receive(6) == "again\n");
  BOOST_TEST(same(client.receive_all(), content));
  const net::DrainReport report = running.stop();
  BOOST_TEST(report.cut == 0U);
  BOOST_TEST(server.stats().served == 1U);
}

// More clients than there are workers, all of which read nothing: a worker that waited for one
// would be missed.
BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(slow_readers_hold_nothing, Form, Parked) {
  using Policy = typename Form::Policy;
  typename Form::Server server{loopback(), quick(), at_once<Policy>(2)};
  Running running{server};
  for (const char* const request : {"file\n", "pieces\n"}) {
    std::vector<std::unique_ptr<Client>> readers;
    for (int i = 0; i < 6; ++i) {
      readers.push_back(std::make_unique<Client>(Client::slow_reader(server)));
      readers.back()->send(request);
    }
    BOOST_TEST(soon([&] { return server.stats().parked >= readers.size(); }));
    const auto begin = Clock::now();
    BOOST_TEST(Client{server}.ask("hello\n") == "hello\n");
    BOOST_TEST((Clock::now() - begin < 1s));
    const std::string whole = *request == 'f' ? whole_file() : whole_pieces();
    for (auto& reader : readers) {
      BOOST_TEST(same(reader->receive(whole.size()), whole));
      BOOST_TEST(reader->ask("hello\n") == "hello\n");
    }
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_raw_handler_goes_on_when_its_socket_has_room, Policy, Policies) {
  struct Raw : net::BaseRequestHandler {
    net::Next handle() {
      if (left == 0) {
        std::array<std::byte, 10> asked{};
        if (request().recv(asked) == 0) return net::Next::close;
        left = 5'000'000;
      }
      bool sent_some = false;
      const std::string some(100'000, 'x');
      while (left > 0) {
        const auto sent = request().try_send(net::bytes(some).first(std::min(left, some.size())));
        if (!sent) {
          if (!sent_some) ++in_vain;
          return net::Next::more;
        }
        sent_some = true;
        left -= *sent;
      }
      request().sendall(net::bytes(std::to_string(in_vain)));
      return net::Next::keep;
    }
    std::size_t left = 0;
    int in_vain = 0;  // calls without buffer space
  };
  net::TcpServer<Raw, Policy> server{loopback(), quick()};
  Running running{server};
  Client client{Client::slow_reader(server)};
  client.send("?");
  // Bytes that the client sends while it reads nothing free no buffer space.
  for (int left = 10; left > 0; --left) {
    std::this_thread::sleep_for(5ms);  // so that each wakes the server
    client.send("x");
  }
  BOOST_TEST(same(client.receive(5'000'000), std::string(5'000'000, 'x')));
  BOOST_TEST(client.receive(1) == "0");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(who_takes_nothing_of_a_file_is_cut_in_time, Form, Parked) {
  net::ServerOptions options = quick();
  options.limits.send = 300ms;
  typename Form::Server server{loopback(), options};
  Running running{server};
  for (const char* const request : {"file\n", "pieces\n"}) {
    const auto timed_out = server.stats().timed_out;
    Client client{Client::slow_reader(server)};
    client.send(request);
    BOOST_TEST(soon([&] { return server.stats().timed_out == timed_out + 1; }));
  }
}

// All waits of `write` beyond the buffer share one limit, so a reader that takes some bytes now and
// then does not hold a worker forever.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_waits_of_one_answer_are_bounded, Form, Parked) {
  struct Everything : net::StreamRequestHandler {
    net::Next handle() {
      if (rfile.read_some() == "small") {
        wfile.write("small");
      } else {
        wfile.write(content);
      }
      return net::Next::keep;
    }
  };
  net::ServerOptions options = quick();
  options.limits.answer = 500ms;
  net::TcpServer<Everything, typename Form::Policy> server{loopback(), options};
  Running running{server};
  Client steady{Client::slow_reader(server)};
  steady.send("large");
  const auto begin = Clock::now();
  while (server.stats().timed_out == 0 && Clock::now() - begin < 10s) {
    steady.receive(1000);
    std::this_thread::sleep_for(20ms);  // the client's pace is what is tested
  }
  BOOST_TEST((Clock::now() - begin >= 500ms));
  BOOST_TEST((Clock::now() - begin < 3s));
  // The limit applies to one answer, not to a connection.
  Client other{server};
  for (int i = 0; i < 3; ++i) BOOST_TEST(other.ask("small") == "small");
}

// A handler of the bare socket that returned Next::more is called again when there is buffer space,
// not when a client that reads nothing sends a byte.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_raw_handler_is_not_called_without_room, Policy, Policies) {
  struct Raw : net::BaseRequestHandler {
    net::Next handle() {
      while (request().try_send(net::bytes(piece))) {
      }
      return net::Next::more;
    }
  };
  net::ServerOptions options = quick();
  options.limits.send = 300ms;
  net::TcpServer<Raw, Policy> server{loopback(), options};
  Running running{server};
  Client client{Client::slow_reader(server)};
  const auto begin = Clock::now();
  while (server.stats().timed_out == 0 && Clock::now() - begin < 10s) {
    try {
      client.send("x");
    } catch (const std::system_error&) {
      break;  // the server cut the connection
    }
    std::this_thread::sleep_for(20ms);  // the client's pace
  }
  BOOST_TEST(soon([&] { return server.stats().timed_out == 1; }));
  BOOST_TEST((Clock::now() - begin < 3s));
}

// When a connection ends, its unsent output is dropped and its file is closed.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(no_file_stays_open, Form, Parked) {
  net::ServerOptions options = quick();
  options.limits.send = 300ms;
  typename Form::Server server{loopback(), options};
  Running running{server};
  const auto files = [] {
    std::size_t count = 0;
    for (const int descriptor : open_descriptors()) {
      const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
      std::array<char, 100> name{};
      if (::readlink(link.c_str(), name.data(), name.size()) > 0 &&
          std::string_view(name.data()).find("memfd:answer") != std::string_view::npos) {
        ++count;
      }
    }
    return count;
  };
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 10; ++i) {
    readers.push_back(std::make_unique<Client>(Client::slow_reader(server)));
    readers.back()->send("file\n");
  }
  BOOST_TEST(soon([&] { return files() == 10; }));
  BOOST_TEST(soon([&] { return server.stats().timed_out == 10; }));
  BOOST_TEST(soon([&] { return files() == 0; }));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_is_refused_at_once, *timeout(20)) {
  struct Mistaken : net::StreamRequestHandler {
    net::Next handle() {
      rfile.read_some();
      const auto file = file_of(100);
      std::array<int, 2> ends{};
      if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
      const net::Descriptor in(ends[0]);
      const net::Descriptor out(ends[1]);
      const auto told = [](auto call) -> std::string {
        try {
          call();
        } catch (const std::system_error& error) {
          return error.code() == std::errc::invalid_argument ? "argument "
                 : error.code() == std::errc::invalid_seek   ? "seek "
                                                             : "other ";
        }
        return "nothing ";
      };
      std::string all = told([&] { wfile.send_file(file.get(), 101); });
      all += told([&] { wfile.send_file(file.get(), 50, 51); });
      all += told([&] { wfile.send_file(in.get(), 0, 10); });
      all += told([&] { wfile.send_file(file.get(), 100); });
      wfile.write(all);
      return net::Next::close;
    }
  };
  net::TcpServer<Mistaken> server{loopback(), quick()};
  Running running{server};
  Client client{server};
  client.send("?");
  BOOST_TEST(client.receive_all() == "argument argument seek nothing ");
}

BOOST_AUTO_TEST_CASE(a_file_that_shrinks_meanwhile_ends_its_connection, *timeout(20)) {
  struct Shrinking : net::StreamRequestHandler {
    net::Next handle() {
      rfile.read_some();
      const auto file = file_of(file_size);
      wfile.send_file(file.get());
      if (::ftruncate(file.get(), 10) != 0) throw std::runtime_error("ftruncate");
      return net::Next::keep;
    }
  };
  QuietHooks hooks;
  net::TcpServer<Shrinking> server{loopback(), quick(), hooks};
  Running running{server};
  Client client{Client::slow_reader(server)};
  client.send("?");
  BOOST_TEST(client.receive_all().size() < file_size);
  BOOST_TEST(soon([&] { return server.stats().failed == 1; }));
  BOOST_TEST(hooks.errors == 1);
  BOOST_TEST((hooks.phase == net::Phase::receive));
}

BOOST_AUTO_TEST_SUITE_END()
