#include "demo.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>

namespace support {
namespace {

Words whole(Words words, const Words& arguments, const std::string& endpoint) {
  const Words echo = demo({"echo", "--listen", endpoint});
  words.insert(words.end(), echo.begin(), echo.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

}  // namespace

Words demo(const Words& arguments) {
  Words words{NETSERVE_DEMO};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

Scratch::Scratch()
    : directory_((std::filesystem::temp_directory_path() / "netserve-XXXXXX").string()) {
  if (::mkdtemp(directory_.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp");
  }
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string Scratch::endpoint(const std::string& kind) const {
  static std::atomic<int> names{0};
  if (kind == "unix@" || kind == "unixgram@") {
    return kind.substr(0, kind.size() - 1) + ":@netserve-test-" + std::to_string(::getpid()) + "-" +
           std::to_string(++names);
  }
  if (kind.starts_with("unix")) return kind + ":" + path("socket");
  return kind + "://127.0.0.1:0";
}

Line::Line(const std::string& text) {
  static const std::regex of_host(R"(echo on (tcp|udp)://\[?([^\]]+)\]?:(\d+) \((.+)\))");
  static const std::regex of_path(R"(echo on (unix|unixgram):(.+) \((.+)\))");
  std::smatch parts;
  if (std::regex_match(text, parts, of_host)) {
    host = parts[2];
    port = static_cast<std::uint16_t>(std::stoi(parts[3]));
  } else if (std::regex_match(text, parts, of_path)) {
    path = parts[2];
  } else {
    throw std::runtime_error("unexpected: " + text);
  }
  scheme = parts[1];
  description = parts[parts.size() - 1];
}

std::string Line::endpoint() const {
  if (!path.empty()) return scheme + ":" + path;
  const bool brackets = host.find(':') != std::string::npos;
  return scheme + "://" + (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Echo::Echo(const Words& arguments, const Process::Options& options, const Words& starter,
           const std::string& kind)
    : process(whole(starter, arguments, scratch.endpoint(kind)), options),
      line(process.read_line()) {}

int Echo::stop(int signal) {
  process.signal(signal);
  return process.wait();
}

int Echo::stop() { return stop(SIGTERM); }

bool echoes(const Client& client, const std::string& text) {
  client.send(text);
  return client.receive(text.size()) == text;
}

bool echoes(const Line& line, const std::string& text, std::chrono::milliseconds within) {
  const auto until = std::chrono::steady_clock::now() + within;
  if (!line.stream()) return line.datagram_client().echoes(text, within);
  const Client client = line.client();
  return echoes(client, text) && std::chrono::steady_clock::now() < until;
}

std::string pattern(std::size_t size, std::size_t seed) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>(((i + seed) * 2654435761U >> 13) & 0x7fU);
  }
  return text;
}

bool one_line(const std::string& text) {
  return std::ranges::count(text, '\n') == 1 && text.ends_with('\n');
}

}  // namespace support
