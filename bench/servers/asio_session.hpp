// The common parts of the two servers with Asio: the session of Asio's own example,
// examples/cpp11/echo/async_tcp_echo_server.cpp, with TCP_NODELAY and a buffer of --buffer BYTES.
// work.h lists what its handlers can do. With --framed, a session answers all complete requests
// that it has read together.
#pragma once

#include <sys/resource.h>

#include <asio.hpp>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "arguments.h"
#include "work.h"

using asio::ip::tcp;
using asio::ip::udp;
using UnixStream = asio::local::stream_protocol;

struct Settings {
  Settings(int count, char** arguments)
      : threads(number_argument(count, arguments, "--threads",
                                static_cast<int>(std::thread::hardware_concurrency()))),
        buffer(static_cast<std::size_t>(number_argument(count, arguments, "--buffer", 4096))),
        port(static_cast<asio::ip::port_type>(number_argument(count, arguments, "--port", 0))),
        datagrams(has_argument(count, arguments, "--udp") != 0),
        framed(has_argument(count, arguments, "--framed") != 0) {
    take_work(count, arguments);
    if (const char* const path = text_argument(count, arguments, "--unix")) unix_path = path;
  }

  // Returns an endpoint of tcp, of udp, or of a Unix socket.
  template <class Protocol>
  typename Protocol::endpoint endpoint() const {
    if constexpr (std::is_same_v<Protocol, UnixStream>) {
      return {unix_path};
    } else {
      return {asio::ip::address_v4::loopback(), port};
    }
  }

  int threads;
  std::size_t buffer;
  asio::ip::port_type port;
  bool datagrams;
  bool framed;
  std::string unix_path;
};

// Only its own completion handlers use a session, one at a time, so it needs no strand.
template <class Protocol>
class Session : public std::enable_shared_from_this<Session<Protocol>> {
 public:
  using Socket = typename Protocol::socket;

  Session(Socket socket, const Settings& settings)
      : socket_(std::move(socket)), framed_(settings.framed), data_(settings.buffer) {
    std::error_code ignored;
    if constexpr (std::is_same_v<Protocol, tcp>) socket_.set_option(tcp::no_delay(true), ignored);
  }

  void start() { read(); }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(data_), [this, self = this->shared_from_this()](
                                                     std::error_code error, std::size_t size) {
      if (error) return;
      if (work.given) do_work_in_place(data_.data(), size);
      if (framed_) {
        answer_frames(size);
      } else {
        write(data_, size);
      }
    });
  }
  void answer_frames(std::size_t size) {
    input_.insert(input_.end(), data_.data(), data_.data() + size);
    answers_.clear();
    std::size_t taken = 0;
    for (; input_.size() - taken >= frame_size; taken += frame_size) {
      const char* const request = input_.data() + taken;
      answers_.insert(answers_.end(), request, request + frame_size);
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
    if (answers_.empty()) {
      read();
    } else {
      write(answers_, answers_.size());
    }
  }
  void write(const std::vector<char>& answer, std::size_t size) {
    asio::async_write(socket_, asio::buffer(answer, size),
                      [this, self = this->shared_from_this()](std::error_code error, std::size_t) {
                        if (!error) read();
                      });
  }

  Socket socket_;
  const bool framed_;
  std::vector<char> data_;
  std::vector<char> input_, answers_;  // of frames
};

// Datagrams, as in Asio's examples/cpp11/echo/async_udp_echo_server.cpp: one after the other.
class DatagramEcho {
 public:
  DatagramEcho(asio::io_context& context, const Settings& settings)
      : socket_(context, settings.endpoint<udp>()), data_(settings.buffer) {
    receive();
  }
  int port() const { return socket_.local_endpoint().port(); }

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(data_), sender_,
                               [this](std::error_code error, std::size_t size) {
                                 if (error) {
                                   receive();
                                 } else {
                                   send(size);
                                 }
                               });
  }
  void send(std::size_t size) {
    socket_.async_send_to(asio::buffer(data_, size), sender_,
                          [this](std::error_code, std::size_t) { receive(); });
  }

  udp::socket socket_;
  udp::endpoint sender_;
  std::vector<char> data_;
};

template <class Acceptor>
void say_where(const Acceptor& acceptor) {
  if constexpr (std::is_same_v<typename Acceptor::protocol_type, tcp>) {
    say_listening(acceptor.local_endpoint().port());
  } else {
    say_listening_at(acceptor.local_endpoint().path().c_str());
  }
}

inline void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}
