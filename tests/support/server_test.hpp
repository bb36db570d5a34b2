// Shared by the tests of servers. This header imports, so it is the last include of a test.
#pragma once

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "netserve/conformance/events.hpp"

import net.server;

// The installed suite defines these helpers.
using net::conformance::Gate;
using net::conformance::Shared;
using net::conformance::soon;
using namespace std::chrono_literals;
using boost::unit_test::timeout;

// --- what a test leaves behind -----------------------------------------------------------------

// Returns the open descriptors of this process.
std::set<int> open_descriptors();

// Checks that the test leaves descriptors, threads and children as it found them, and that nothing
// was written to stderr except what the test took with `stderr_so_far`.
class LeavesNothing {
 public:
  LeavesNothing();
  LeavesNothing(const LeavesNothing&) = delete;
  LeavesNothing& operator=(const LeavesNothing&) = delete;
  ~LeavesNothing();

  // Returns what was written to stderr and has not been taken yet.
  std::string stderr_so_far();

 private:
  std::set<int> descriptors_;
  std::size_t threads_;
};

// --- servers and clients -----------------------------------------------------------------------

net::Address loopback();

// Serves in a thread of its own. The destructor shuts down, joins, closes, and checks that each
// connection has ended exactly once.
class Running {
 public:
  explicit Running(net::BaseServer& server);
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running();

  // Waits until serve_forever has returned; rethrows its exception.
  void join();
  // Shuts down, joins, closes, and calls `check_sum`.
  net::DrainReport stop(net::Deadline deadline = 5s);

 private:
  net::BaseServer& server_;
  std::exception_ptr error_;
  bool closed_ = false;
  std::thread thread_;
};

// Checks that all accepted connections have ended.
void check_sum(const net::BaseServer& server);

// A connection to a server that fails instead of waiting forever. The destructor ends the
// connection, even if children of the test have copies of the descriptor.
class Client {
 public:
  explicit Client(const net::Address& server);
  explicit Client(const net::BaseServer& server) : Client(server.server_address()) {}
  // Uses an open connection.
  explicit Client(net::Socket connected);
  // Returns a socket with a receive buffer so small that the server's sending soon blocks.
  static net::Socket slow_reader(const net::BaseServer& server);

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  void send(std::string_view text);
  // Receives exactly that many bytes.
  std::string receive(std::size_t count);
  // Receives until the server closes.
  std::string receive_all();
  std::string ask(std::string_view text) {
    send(text);
    return receive(text.size());
  }
  // Returns whether the server closes without sending another byte.
  bool sees_end() { return receive_all().empty(); }
  // Returns whether the server closed or cut the connection, whatever it sent before.
  bool is_closed();
  void end_sending() { socket.shutdown(net::ShutdownHow::write); }
  // Closes the connection with a reset, as a host does that has restarted.
  void reset();

  net::Socket socket;
};

// A datagram client that fails instead of waiting forever.
class DatagramClient {
 public:
  // Its socket has the server's family, and a name of its own.
  explicit DatagramClient(const net::Address& server);
  explicit DatagramClient(const net::BaseServer& server)
      : DatagramClient(server.server_address()) {}

  void send(std::string_view text);
  // Receives one datagram from the server.
  std::string receive();
  std::string ask(std::string_view text) {
    send(text);
    return receive();
  }

  net::Socket socket;
  const net::Address server;
};

// A temporary directory, removed with its contents when this object is destroyed.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory();
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

 private:
  std::string directory_;
};

// Runs the function in a thread without this capability (capabilities(7)).
void without_capability(unsigned capability, const std::function<void()>& function);

// Counts errors instead of printing them.
struct QuietHooks : net::ServerHooks {
  void handle_error(const net::RequestError& error) override {
    ++errors;
    phase = error.phase;
  }
  std::atomic<int> errors{0};
  std::atomic<net::Phase> phase{};
};

// Gives connections a small send buffer.
struct SmallBuffers : net::ServerHooks {
  void server_bind(net::Socket& listener, const net::Address& address) override {
    listener.setsockopt(net::SocketOption::send_buffer, 4096);
    net::ServerHooks::server_bind(listener, address);
  }
};

// Returns options whose limits do not make tests wait.
net::ServerOptions quick();

// Returns bytes of which neighbouring positions never have the same value.
std::string pattern(std::size_t size, unsigned seed = 0);

// --- handlers and policies ---------------------------------------------------------------------

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct EchoConversation : net::StreamRequestHandler {
  void handle() {
    for (auto text = rfile.read_some(); !text.empty(); text = rfile.read_some()) wfile.write(text);
  }
};

struct EchoDatagram : net::DatagramRequestHandler {
  void handle() { reply(packet()); }
};

struct LineEcho : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line) wfile.write(*line);
    return line ? net::Next::keep : net::Next::close;
  }
};

using Policies =
    std::tuple<net::ThreadPool, net::ThreadPerRequest, net::ForkPerRequest, net::Inline>;
using ThreadPolicies = std::tuple<net::ThreadPool, net::ThreadPerRequest, net::Inline>;
// The policies that run requests concurrently.
using Concurrent = std::tuple<net::ThreadPool, net::ThreadPerRequest, net::ForkPerRequest>;

// A policy together with a form of handler.
template <class H, class P>
struct With {
  using Handler = H;
  using Policy = P;
  using Server = net::TcpServer<H, P>;
};
using EchoForms =
    std::tuple<With<Echo, net::ThreadPool>, With<Echo, net::ThreadPerRequest>,
               With<Echo, net::ForkPerRequest>, With<Echo, net::Inline>,
               With<EchoConversation, net::ThreadPool>,
               With<EchoConversation, net::ThreadPerRequest>,
               With<EchoConversation, net::ForkPerRequest>, With<EchoConversation, net::Inline>>;

// Returns options that let a policy run this many requests at a time.
template <class P>
typename P::Options at_once(std::size_t count) {
  if constexpr (requires { typename P::Options{}.workers; }) {
    return {.workers = count};
  } else if constexpr (requires { typename P::Options{}.max_threads; }) {
    return {.max_threads = count};
  } else if constexpr (requires { typename P::Options{}.max_children; }) {
    return {.max_children = count};
  } else {
    return {};
  }
}
