// An example, started as a user starts it, and stopped with SIGTERM.
#pragma once

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "client.hpp"
#include "process.hpp"

namespace support {

// Returns the address in a line "listening on ADDRESS"; below, its port.
inline std::string address_in(const std::string& line) {
  BOOST_TEST(line.starts_with("listening on "), line);
  return line.substr(line.find_last_of(' ') + 1);
}
inline std::uint16_t port_of(const std::string& line) {
  return static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
}

// A running example. The destructor stops it and checks that it ends well.
class Example {
 public:
  explicit Example(const std::string& name, const std::string& argument = "0")
      : Example(std::vector<std::string>{EXAMPLES "/" + name, argument}) {}
  explicit Example(const std::vector<std::string>& command)
      : process_(command), address_(address_in(process_.read_line())) {}
  Example(const Example&) = delete;
  Example& operator=(const Example&) = delete;
  ~Example() {
    process_.signal(SIGTERM);
    BOOST_TEST(process_.wait() == 0);
    BOOST_TEST(process_.rest_of_stderr().empty());
  }

  const std::string& address() const noexcept { return address_; }
  std::uint16_t port() const { return port_of(address_); }
  Client client(const std::string& from = "127.0.0.1") const { return {"127.0.0.1", port(), from}; }
  std::string read_line() { return process_.read_line(); }

 private:
  Process process_;
  std::string address_;
};

inline std::string ask(const Client& client, const std::string& text) {
  client.send(text);
  return client.receive_line();
}

}  // namespace support
