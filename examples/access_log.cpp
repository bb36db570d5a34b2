// Answers lines in upper case, and writes a line to an access log for each. Arguments: a port, and
// the log file; by default the log goes to the standard output.
//
// A hook runs on the thread that served the request, so it must not wait for a disk. spdlog's
// asynchronous logger puts each line into a queue and writes it in a thread of its own. When the
// disk is too slow, the logger drops the oldest lines instead of delaying clients.

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "serve.hpp"

namespace {

struct UpperCase : net::StreamRequestHandler {
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
  net::Next handle() {
    std::string line(rfile.read_line().value());
    for (char& letter : line) {
      if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    }
    wfile.write(line);
    return net::Next::keep;
  }
};

class AccessLog : public net::ServerHooks {
 public:
  explicit AccessLog(std::shared_ptr<spdlog::logger> log) : log_(std::move(log)) {}

  void on_request(const net::RequestRecord& request) override {
    log_->info(
        "{} {} {} in={} out={} queue_us={} handler_us={} sending_us={}",
        request.client_address.to_string(), request.number, net::name(request.outcome),
        request.bytes_received, request.bytes_sent, microseconds(request.first_byte, request.begun),
        microseconds(request.begun, request.handled), microseconds(request.handled, request.sent));
  }

 private:
  using Time = net::RequestRecord::Time;
  // Returns -1 if one of the two events has not happened.
  static long microseconds(Time from, Time to) {
    if (from == Time{} || to == Time{}) return -1;
    return std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
  }

  std::shared_ptr<spdlog::logger> log_;
};

}  // namespace

int main(int argc, char** argv) {
  constexpr std::size_t lines = 65536;
  spdlog::init_thread_pool(lines, 1);
  spdlog::flush_every(std::chrono::seconds(1));
  using NeverWaits = spdlog::async_factory_nonblock;
  const auto log = argc > 2
                       ? NeverWaits::create<spdlog::sinks::basic_file_sink_mt>("access", argv[2])
                       : NeverWaits::create<spdlog::sinks::stdout_sink_mt>("access");
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%f %v");

  {
    AccessLog hooks(log);
    net::TcpServer<UpperCase> server{net::Address{"127.0.0.1", port(argc, argv)}, hooks};
    serve(server);
  }  // the server is closed: running requests have been answered, and logged
  spdlog::shutdown();  // writes the lines that are left
}
