// Keeps keys and values in memory, over the Redis protocol: try it with redis-cli. The server
// receives whole commands, and sends the answers to pipelined commands together.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "resp.hpp"
#include "serve.hpp"

namespace {

using Words = std::span<const std::string_view>;

class Store {
 public:
  std::string execute(Words words) {
    std::string name(words[0]);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const Words arguments = words.subspan(1);
    const std::string_view key = arguments.empty() ? "" : arguments[0];
    bool known = false;
    const auto is = [&](std::string_view command, std::size_t least, std::size_t most) {
      known = known || name == command;
      return name == command && arguments.size() >= least && arguments.size() <= most;
    };
    const std::lock_guard lock(mutex_);
    if (is("get", 1, 1)) {
      const auto found = values_.find(key);
      return found == values_.end() ? "$-1\r\n" : resp::bulk(found->second);
    }
    if (is("set", 2, 2)) {
      const auto found = values_.find(key);
      if (found != values_.end()) found->second = arguments[1];
      if (found == values_.end()) values_.emplace(key, arguments[1]);
      return "+OK\r\n";
    }
    if (is("incr", 1, 1)) return increment(key);
    if (is("exists", 1, ~0UL)) {
      return resp::integer(
          std::ranges::count_if(arguments, [&](auto one) { return values_.contains(one); }));
    }
    if (is("del", 1, ~0UL)) {
      return resp::integer(std::ranges::count_if(
          arguments, [&](auto one) { return values_.erase(std::string(one)) > 0; }));
    }
    if (is("dbsize", 0, 0)) return resp::integer(static_cast<long long>(values_.size()));
    if (is("flushall", 0, 1)) values_.clear();
    if (is("flushall", 0, 1) || is("quit", 0, ~0UL)) return "+OK\r\n";
    if (is("ping", 0, 0)) return "+PONG\r\n";
    if (is("ping", 1, 1) || is("echo", 1, 1)) return resp::bulk(key);
    if (is("select", 1, 1)) return key == "0" ? "+OK\r\n" : resp::error("DB index is out of range");
    if (is("config", 2, 2)) return "*2\r\n" + resp::bulk(arguments[1]) + resp::bulk("");
    if (is("command", 0, ~0UL)) return "*0\r\n";
    if (known) return resp::error("wrong number of arguments for '" + name + "' command");
    std::string text =
        "unknown command '" + std::string(words[0]) + "', with args beginning with: ";
    for (const auto one : arguments) text += "'" + std::string(one) + "' ";
    return resp::error(text);
  }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::string increment(std::string_view key) {
    std::string& value = values_.try_emplace(std::string(key), "0").first->second;
    const auto old = resp::number(value);
    if (!old) return resp::error("value is not an integer or out of range");
    if (*old == std::numeric_limits<long long>::max()) {
      return resp::error("increment or decrement would overflow");
    }
    value = std::to_string(*old + 1);
    return resp::integer(*old + 1);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> values_;
};

class Redis : public net::StreamRequestHandler {
 public:
  explicit Redis(Store& store) : store_(store) {}

  static std::size_t request_size(std::span<const std::byte> received) {
    try {
      return resp::parse({reinterpret_cast<const char*>(received.data()), received.size()},
                         [](std::string_view) {});
    } catch (const std::runtime_error&) {
      return received.size();  // `handle` finds the same error, and answers
    }
  }

  net::Next handle() {
    words_.clear();
    try {
      const auto size = resp::parse(rfile.buffered(), [this](auto one) { words_.push_back(one); });
      if (size == 0) return net::Next::close;  // the client ended its stream within a command
      if (!words_.empty()) wfile.write(store_.execute(words_));
      const bool quits = !words_.empty() && (words_[0] == "QUIT" || words_[0] == "quit");
      rfile.read_exactly(size);
      return quits ? net::Next::close : net::Next::keep;
    } catch (const std::runtime_error& error) {
      wfile.write(resp::error(std::string("Protocol error: ") + error.what()));
      return net::Next::close;
    }
  }

 private:
  Store& store_;
  std::vector<std::string_view> words_;
};

}  // namespace

int main(int argc, char** argv) {
  Store store;
  net::ServerOptions options;
  options.max_request_size = std::size_t{1} << 20;
  net::TcpServer<Redis> server{net::Address{"127.0.0.1", port(argc, argv)}, options,
                               [&store] { return Redis(store); }};
  serve(server);
}
