#include "demo.hpp"

#include <algorithm>
#include <csignal>
#include <regex>
#include <stdexcept>
#include <string>

namespace support {
namespace {

Words whole(Words words, const Words& arguments) {
  const Words echo = demo({"echo", "--listen", "tcp://127.0.0.1:0"});
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

Line::Line(const std::string& text) {
  static const std::regex form(R"(echo on tcp://\[?([^\]]+)\]?:(\d+) \((.+)\))");
  std::smatch parts;
  if (!std::regex_match(text, parts, form)) throw std::runtime_error("unexpected: " + text);
  host = parts[1];
  port = static_cast<std::uint16_t>(std::stoi(parts[2]));
  description = parts[3];
}

Echo::Echo(const Words& arguments, const Process::Options& options, const Words& starter)
    : process(whole(starter, arguments), options), line(process.read_line()) {}

int Echo::stop(int signal) {
  process.signal(signal);
  return process.wait();
}

int Echo::stop() { return stop(SIGTERM); }

bool echoes(const Client& client, const std::string& text) {
  client.send(text);
  return client.receive(text.size()) == text;
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
