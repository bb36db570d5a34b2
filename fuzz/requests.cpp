// Complete servers of Unix streams: a client sends pieces that the input determines. The answer
// must be the one that a model gives for everything sent.

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "fuzz.hpp"

import net.server;

namespace {

constexpr std::size_t most = 300;  // the largest request that the server collects

struct Bytes : net::StreamRequestHandler {
  static std::string model(std::string_view sent) { return std::string(sent); }
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

struct Conversation : net::StreamRequestHandler {
  static std::string model(std::string_view sent) { return std::string(sent); }
  void handle() {
    while (const auto line = rfile.read_line()) wfile.write(*line);
  }
};

struct UnframedLines : net::StreamRequestHandler {
  static std::string model(std::string_view sent) { return std::string(sent); }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line) wfile.write(*line);
    return line ? net::Next::keep : net::Next::close;
  }
};

// An empty line ends the connection.
struct Lines : net::StreamRequestHandler {
  static std::string model(std::string_view sent) {
    std::string answer;
    while (!sent.empty()) {
      const std::size_t end = sent.find('\n');
      const std::string_view line = sent.substr(0, end == sent.npos ? end : end + 1);
      // The server collects up to the limit, and not more.
      if (line.size() > most || (end == sent.npos && line.size() == most)) break;
      answer += line;
      if (line == "\n") break;
      sent.remove_prefix(line.size());
    }
    return answer;
  }
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    const auto line = rfile.read_line();
    if (line) wfile.write(*line);
    return line && *line != "\n" ? net::Next::keep : net::Next::close;
  }
};

struct Blocks : net::StreamRequestHandler {
  static std::string model(std::string_view sent) {
    const std::string_view all = sent;
    while (!sent.empty()) {
      const std::size_t size = static_cast<unsigned char>(sent.front()) + std::size_t{1};
      if (size > sent.size()) break;
      sent.remove_prefix(size);
    }
    return std::string(all.substr(0, all.size() - sent.size()));
  }
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::length_prefixed<std::uint8_t>(received);
  }
  net::Next handle() {
    // Throws if the stream ends within a block.
    wfile.write(rfile.read_exactly(request_size(net::bytes(rfile.buffered()))));
    return net::Next::keep;
  }
};

struct Quiet : net::ServerHooks {
  void handle_error(const net::RequestError&) override {}
};

// An object is never destroyed, as its server runs until the process ends.
template <class Handler, class Policy>
class Server {
 public:
  Server() {
    std::thread([this] { server_.serve_forever(); }).detach();
  }
  net::Address address() const { return server_.server_address(); }

 private:
  static net::ServerOptions options() {
    net::ServerOptions result;
    result.max_request_size = most;
    return result;
  }
  Quiet hooks_;
  net::UnixStreamServer<Handler, Policy> server_{net::Address::unix_unnamed(), hooks_, options()};
};

// Receives answers while it sends, because the server may read no further until its answers have
// been received.
class Client {
 public:
  explicit Client(const net::Address& server) : socket_(net::create_connection(server)) {
    socket_.settimeout(std::chrono::seconds(10));
  }

  void send(std::string_view text) {
    for (auto left = net::bytes(text); !left.empty(); take_what_came()) {
      left = left.subspan(socket_.try_send(left).value_or(0));
    }
  }
  // Waits until the server has received everything that was sent.
  void let_receive() {
    for (int left = 1; left > 0 && ::ioctl(socket_.fileno(), SIOCOUTQ, &left) == 0;) {
      take_what_came();
    }
  }
  void end() {
    socket_.shutdown(net::ShutdownHow::write);
    while (take(socket_.recv(buffer_))) {
    }
  }
  const std::string& answer() const { return answer_; }

 private:
  void take_what_came() {
    for (;;) {
      const auto count = socket_.try_recv(buffer_);
      if (!count) break;
      // The server has closed the connection, and may wait for the client to close it too.
      if (!take(*count)) throw net::EndOfStream("no more answers");
    }
    ::sched_yield();
  }
  bool take(std::size_t count) {
    answer_.append(reinterpret_cast<const char*>(buffer_.data()), count);
    return count > 0;
  }

  net::Socket socket_;
  std::array<std::byte, 4096> buffer_{};
  std::string answer_;
};

// Sends what the input determines, and returns everything received until the server closed.
std::string ask(FuzzedDataProvider& script, Client& client, std::string& sent) {
  try {
    while (script.remaining_bytes() > 0 && sent.size() < 50'000) {
      const bool waits = script.ConsumeBool();
      const auto times = script.ConsumeIntegralInRange<std::size_t>(1, 50);
      const std::string text = script.ConsumeRandomLengthString(400);
      std::string piece;
      for (std::size_t i = 0; i < times; ++i) piece += text;
      sent += piece;
      client.send(piece);
      if (waits) client.let_receive();
    }
    client.end();
  } catch (const net::EndOfStream&) {
    // The server closed because of earlier bytes, and does not read the rest.
  } catch (const std::system_error& error) {
    require(error.code() == std::errc::broken_pipe || error.code() == std::errc::connection_reset,
            "the server answers in time, or has closed");
  }
  return client.answer();
}

template <class Handler, class Policy>
void compare(FuzzedDataProvider& script) {
  static const auto& server = *new Server<Handler, Policy>;
  std::string sent;
  Client client(server.address());
  const std::string answer = ask(script, client, sent);
  require(answer == Handler::model(sent), "the answer is what the model says");
}

template <class Policy>
void compare_all(FuzzedDataProvider& script) {
  switch (script.ConsumeIntegralInRange(0, 4)) {
    case 0: return compare<Bytes, Policy>(script);
    case 1: return compare<Conversation, Policy>(script);
    case 2: return compare<UnframedLines, Policy>(script);
    case 3: return compare<Lines, Policy>(script);
    default: return compare<Blocks, Policy>(script);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  script.ConsumeBool() ? compare_all<net::Inline>(script) : compare_all<net::ThreadPool>(script);
  return 0;
}
