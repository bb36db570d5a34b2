// A part of <netserve/policy_conformance.hpp>: one test of one policy, with its server and clients.
#pragma once

namespace net::conformance {

/// Counts errors instead of printing them, also those in children.
class Hooks : public net::ServerHooks {
 public:
  void handle_error(const net::RequestError&) override { ++*errors_; }
  void report(const net::Event&) override {}
  int errors() const { return errors_->load(); }

 private:
  Shared<std::atomic<int>> errors_;
};

inline net::ServerOptions quick() {
  net::ServerOptions options;
  options.linger = 200ms;
  options.quiet_grace = 20ms;
  return options;
}

/// One test: reports what it waits for, the faults that it finds, and what is left behind.
class Trial {
 public:
  Trial(const Subject& policy, const std::string& test)
      : subject(policy),
        watchdog_(std::make_unique<Watchdog>(policy.name + ", " + test, time_of_a_test())),
        threads_(threads_of_this_process()),
        descriptors_(descriptors_of_this_process()) {}
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  ~Trial() {
    check(record->overlapping == 0, "the policy ran two calls of one handler at the same time");
    check(record->begun_after_drain == 0, "a handler began after drain had returned");
    check(soon([this] { return threads_of_this_process() <= threads_; }, 2s),
          "the policy left " + std::to_string(threads_of_this_process()) +
              " threads behind instead of " + std::to_string(threads_) +
              ", although it is destroyed");
    check(soon([] { return !has_children(); }, 2s), "the policy left child processes behind");
    check(soon([this] { return descriptors_of_this_process() <= descriptors_; }, 2s),
          "the policy left descriptors open, although it is destroyed");
  }

  /// Sets what the test waits for from now on.
  void step(std::string text) { watchdog_->step(std::move(text)); }
  static bool check(bool fulfilled, const std::string& fault) {
    BOOST_TEST(fulfilled, fault);
    return fulfilled;
  }
  /// Returns how many threads there were before the policy was made, those of the test included.
  std::size_t threads_before() const noexcept { return threads_; }

  std::unique_ptr<net::BaseServer> server(const Plan& plan) {
    record->drained = false;  // an earlier server of the test may have been drained
    return subject.server(plan, hooks);
  }

  const Subject& subject;
  Shared<Record> record;
  Hooks hooks;

 private:
  std::unique_ptr<Watchdog> watchdog_;
  std::size_t threads_;
  std::size_t descriptors_;
};

/// Serves in a thread of its own. The destructor closes the server.
class Serving {
 public:
  Serving(Trial& trial, net::BaseServer& server) : trial_(trial), server_(server) {
    const NoSignals none;
    thread_ = std::thread([this] { serve(); });
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() {
    if (!closed_) stop();
  }

  /// Shuts down, closes, and checks that each connection has ended exactly once.
  net::DrainReport stop(net::Deadline deadline = patience) {
    trial_.step("the end of server_close");
    server_.shutdown();
    const net::DrainReport report = server_.server_close(deadline);
    join();
    closed_ = true;
    const net::Stats stats = server_.stats();
    if (report.stuck == 0) {
      Trial::check(stats.ended() == stats.accepted,
                   "the policy lost connections: the server accepted " +
                       std::to_string(stats.accepted) + ", and " + std::to_string(stats.ended()) +
                       " came to an end");
    }
    return report;
  }
  void join() {
    if (thread_.joinable()) thread_.join();
    Trial::check(error_.empty(), "serve_forever threw: " + error_);
  }

 private:
  void serve() {
    try {
      server_.serve_forever(50ms);
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  }

  Trial& trial_;
  net::BaseServer& server_;
  std::string error_;
  bool closed_ = false;
  std::thread thread_;
};

/// A client that does not throw after connecting, and waits no longer than its deadline.
class Client {
 public:
  explicit Client(const net::BaseServer& server, net::Deadline until = patience)
      : until_(until), socket_(net::create_connection(server.server_address(), until)) {
    // Sends each piece of a request at once.
    socket_.setsockopt(net::SocketOption::no_delay, 1);
  }
  Client(Client&&) noexcept = default;
  Client& operator=(Client&&) = delete;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Closing alone is not enough: children of the test may have copies of the descriptor.
  ~Client() { end(net::ShutdownHow::both); }

  /// A client with a receive buffer so small that the server's sending soon blocks.
  static Client deaf(const net::BaseServer& server) {
    net::Socket socket(net::Family::ipv4);
    socket.setsockopt(net::SocketOption::receive_buffer, 4096);
    socket.connect(server.server_address(), patience);
    return Client(std::move(socket));
  }

  bool send(std::string_view text) {
    try {
      socket_.sendall(net::bytes(text), until_);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  /// Returns that many bytes, or fewer if the stream ends or the deadline expires.
  std::string receive(std::size_t count) {
    std::string text;
    std::string some(65536, '\0');
    try {
      while (text.size() < count && socket_.wait_to_receive(until_)) {
        const std::size_t most = std::min(some.size(), count - text.size());
        const std::size_t got = socket_.recv(std::as_writable_bytes(std::span(some).first(most)));
        if (got == 0) {
          ended_ = true;
          break;
        }
        text.append(some, 0, got);
      }
    } catch (const std::exception&) {
      ended_ = true;
    }
    return text;
  }
  std::string receive_all() { return receive(std::string::npos); }
  std::string ask(std::string_view text) { return send(text) ? receive(text.size()) : ""; }
  /// Returns whether the server closes the connection, whatever it sends before.
  bool sees_end() {
    if (!ended_) receive_all();
    return ended_;
  }
  /// Returns whether there is something to receive now, or the end of the stream.
  bool has_input() {
    try {
      return socket_.wait_to_receive(0ms);
    } catch (const std::exception&) {
      return true;
    }
  }
  void end_sending() { end(net::ShutdownHow::write); }
  void wait_until(net::Deadline until) { until_ = until; }
  /// Closes the connection with a reset, as a host does that has restarted.
  void reset() {
    socket_.set_linger(std::chrono::seconds(0));
    socket_.close();
  }

 private:
  explicit Client(net::Socket connected) : until_(patience), socket_(std::move(connected)) {}
  void end(net::ShutdownHow how) noexcept {
    try {
      if (socket_.fileno() >= 0) socket_.shutdown(how);
    } catch (const std::exception&) {
      // The connection has ended already.
    }
  }

  net::Deadline until_;
  bool ended_ = false;
  net::Socket socket_;
};

/// A datagram client.
class PacketClient {
 public:
  explicit PacketClient(const net::BaseServer& server)
      : socket_(net::Family::ipv4, net::SocketType::datagram), server_(server.server_address()) {
    socket_.bind({"127.0.0.1", 0});
  }
  void send(std::string_view text) { socket_.sendto(net::bytes(text), server_); }
  /// Returns a datagram, or an empty string if none arrives in time.
  std::string receive(milliseconds within = patience) {
    std::string text(70000, '\0');
    if (!socket_.wait_to_receive(within)) return {};
    text.resize(socket_.recv(std::as_writable_bytes(std::span(text))));
    return text;
  }
  std::string ask(std::string_view text) {
    send(text);
    return receive();
  }

 private:
  net::Socket socket_;
  net::Address server_;
};

/// A test, and the policies to which it applies.
struct Case {
  const char* name;
  void (*run)(Trial& trial);
  bool (*applies)(const Subject& subject) = [](const Subject&) { return true; };
};

inline std::string in_words(std::size_t count, std::size_t all) {
  return std::to_string(count) + " of " + std::to_string(all) + " clients got no answer";
}
inline std::string line(std::size_t number) { return std::to_string(number) + "\n"; }

}  // namespace net::conformance
