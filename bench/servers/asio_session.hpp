// What the two servers with Asio have in common: the session and the acceptor of Asio's own
// example, examples/cpp11/echo/async_tcp_echo_server.cpp, with TCP_NODELAY and a buffer of
// --buffer BYTES. --sleep MS stands for a handler that blocks.
#pragma once

#include <sys/resource.h>

#include <asio.hpp>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "arguments.h"

using asio::ip::tcp;

// Only its own completion handler ever touches it, so that it needs no strand.
class Session : public std::enable_shared_from_this<Session> {
 public:
  struct Settings {
    Settings(int count, char** arguments)
        : threads(number_argument(count, arguments, "--threads",
                                  static_cast<int>(std::thread::hardware_concurrency()))),
          sleep(number_argument(count, arguments, "--sleep", 0)),
          buffer(static_cast<std::size_t>(number_argument(count, arguments, "--buffer", 4096))),
          endpoint(
              asio::ip::address_v4::loopback(),
              static_cast<asio::ip::port_type>(number_argument(count, arguments, "--port", 0))) {}

    int threads;
    std::chrono::milliseconds sleep;
    std::size_t buffer;
    tcp::endpoint endpoint;
  };

  Session(tcp::socket socket, const Settings& settings)
      : socket_(std::move(socket)), sleep_(settings.sleep), data_(settings.buffer) {}

  void start() { read(); }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(data_), [this, self = shared_from_this()](
                                                     std::error_code error, std::size_t size) {
      if (error) return;
      if (sleep_.count() > 0) std::this_thread::sleep_for(sleep_);
      write(size);
    });
  }
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(data_, size),
                      [this, self = shared_from_this()](std::error_code error, std::size_t) {
                        if (!error) read();
                      });
  }

  tcp::socket socket_;
  const std::chrono::milliseconds sleep_;
  std::vector<char> data_;
};

inline void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}
