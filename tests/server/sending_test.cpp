// The send limit: the server waits for a client that steadily takes bytes, however slowly, and cuts
// a client that takes none for as long as the limit.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <future>
#include <string>

#include "support/server_test.hpp"

namespace {

constexpr std::size_t answer_size = 3'000'000;
constexpr auto limit = 500ms;

// Answers with more bytes than the kernel takes.
struct Answerer : net::StreamRequestHandler {
  net::Next handle() {
    rfile.read_some();
    wfile.write(pattern(answer_size));
    return net::Next::keep;
  }
};

struct AnswererConversation : Answerer {
  void handle() { static_cast<void>(Answerer::handle()); }
};

// Sends the same answer by the socket's own calls.
struct Sendall : net::BaseRequestHandler {
  net::Next handle() {
    std::array<std::byte, 10> asked{};
    if (request().recv(asked) > 0) request().sendall(net::bytes(pattern(answer_size)));
    return net::Next::keep;
  }
};

struct Sendfile : net::StreamRequestHandler {
  net::Next handle() {
    if (rfile.read_some().empty()) return net::Next::close;
    const net::Descriptor file(::memfd_create("answer", MFD_CLOEXEC));
    const std::string text = pattern(answer_size);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("write");
    }
    net::sendfile(request(), file.get());
    return net::Next::keep;
  }
};

template <class H, class P>
struct Tcp {
  using Server = net::TcpServer<H, P>;
  static net::Address address() { return loopback(); }
};
template <class H, class P>
struct Unix {
  using Server = net::UnixStreamServer<H, P>;
  static net::Address address() { return net::Address::unix_unnamed(); }
};

net::ServerOptions options_with(std::size_t write_buffer) {
  net::ServerOptions options = quick();
  options.limits.send = limit;
  options.write_buffer = write_buffer;
  return options;
}

struct RoomyBuffers : QuietHooks {
  void server_bind(net::Socket& listener, const net::Address& address) override {
    listener.setsockopt(net::SocketOption::send_buffer, 400'000);
    QuietHooks::server_bind(listener, address);
  }
};

net::Socket asking_client(const net::BaseServer& server) {
  const net::Address address = server.server_address();
  net::Socket client(address.family());
  client.setsockopt(net::SocketOption::receive_buffer, 32'000);
  client.connect(address, 5s);
  client.settimeout(10s);
  client.sendall(net::bytes("?"));
  return client;
}

// The text is empty if all went well. The futures contain no checks, because several run at once.
using Outcome = std::future<std::string>;

template <class Form>
Outcome reads_steadily(std::size_t write_buffer) {
  return std::async(std::launch::async, [write_buffer]() -> std::string {
    RoomyBuffers hooks;
    typename Form::Server server{Form::address(), options_with(write_buffer), hooks};
    std::thread serving([&] { server.serve_forever(50ms); });
    std::string answer;
    try {
      const auto begin = std::chrono::steady_clock::now();
      net::Socket client = asking_client(server);
      std::array<std::byte, 8000> part;
      while (answer.size() < answer_size) {
        const std::size_t count = client.recv(part);
        if (count == 0) break;
        answer.append(reinterpret_cast<const char*>(part.data()), count);
        // The client reads slowly for several limits, then as fast as it can.
        if (std::chrono::steady_clock::now() - begin < 4 * limit) {
          std::this_thread::sleep_for(40ms);
        }
      }
    } catch (const std::exception& error) {
      answer += error.what();
    }
    server.shutdown();
    serving.join();
    server.server_close(5s);
    if (answer == pattern(answer_size)) return {};
    return std::to_string(answer.size()) + " bytes, timed out " +
           std::to_string(server.stats().timed_out);
  });
}

template <class Form>
Outcome reads_nothing(std::size_t write_buffer) {
  return std::async(std::launch::async, [write_buffer]() -> std::string {
    RoomyBuffers hooks;
    typename Form::Server server{Form::address(), options_with(write_buffer), hooks};
    std::thread serving([&] { server.serve_forever(50ms); });
    const auto begin = std::chrono::steady_clock::now();
    const net::Socket client = asking_client(server);
    const bool cut = soon([&] { return server.stats().timed_out == 1; }, 10s);
    const auto time = std::chrono::steady_clock::now() - begin;
    server.shutdown();
    serving.join();
    server.server_close(5s);
    if (cut && time >= limit && time < 10 * limit) return {};  // 22 of these share the cores
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
           " ms";
  });
}

// With a buffer, an answer waits for buffer space in the parking lot (or, in a child, in the wait
// for the next request). Without one, it waits in the handler's call.
constexpr std::size_t buffered = 4'000'000;

template <template <class, class> class Family>
void try_each(auto try_one) {
  std::vector<Outcome> outcomes;
  const auto start = [&]<class H, class P>(std::size_t write_buffer) {
    outcomes.push_back(try_one.template operator()<Family<H, P>>(write_buffer));
  };
  start.template operator()<Answerer, net::ThreadPool>(buffered);
  start.template operator()<Answerer, net::ThreadPerRequest>(buffered);
  start.template operator()<Answerer, net::ForkPerRequest>(buffered);
  start.template operator()<Answerer, net::Inline>(buffered);
  start.template operator()<Answerer, net::ThreadPool>(0);
  start.template operator()<Answerer, net::ForkPerRequest>(0);
  start.template operator()<AnswererConversation, net::ThreadPool>(0);
  start.template operator()<AnswererConversation, net::ThreadPerRequest>(0);
  start.template operator()<Sendall, net::ThreadPool>(0);
  start.template operator()<Sendfile, net::ThreadPool>(0);
  start.template operator()<Sendfile, net::Inline>(0);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const std::string wrong = outcomes[i].get();
    BOOST_TEST(wrong.empty(), "form " << i << ": " << wrong);
  }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_sending, LeavesNothing)

BOOST_AUTO_TEST_CASE(a_slow_but_steady_reader_is_waited_for, *timeout(40)) {
  const auto steadily = []<class Form>(std::size_t size) { return reads_steadily<Form>(size); };
  try_each<Tcp>(steadily);
  try_each<Unix>(steadily);
}

BOOST_AUTO_TEST_CASE(a_reader_that_takes_nothing_is_cut_in_time, *timeout(40)) {
  const auto nothing = []<class Form>(std::size_t size) { return reads_nothing<Form>(size); };
  try_each<Tcp>(nothing);
  try_each<Unix>(nothing);
}

BOOST_AUTO_TEST_SUITE_END()
