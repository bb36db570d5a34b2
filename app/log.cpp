#include "log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

import net.socket;

namespace {

// How long `write_text` waits for a reader that makes no progress. Log lines do not wait.
constexpr int patience = 200;  // milliseconds

// Writes to stdout or stderr. Text that the reader does not take in the given time is lost.
class Output {
 public:
  explicit Output(int number) : number_(number) {
    struct stat status{};
    if (::fstat(number, &status) != 0) return;
    socket_ = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && ::isatty(number) == 0) return;
    // Opens the file again: O_NONBLOCK affects every process that shares an open file.
    const std::string path = "/proc/self/fd/" + std::to_string(number);
    own_ = net::Descriptor(net::above_standard_streams(
        ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)));
  }

  void write(std::string_view text, int milliseconds) const {
    const int descriptor = own_.get() >= 0 ? own_.get() : number_;
    while (!text.empty()) {
      pollfd polled{descriptor, POLLOUT, 0};
      if (::poll(&polled, 1, milliseconds) != 1) return;
      const auto written =
          socket_ ? ::send(descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                  : net::write_without_signals(descriptor, net::bytes(text));
      if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
      if (written < 0 && errno != EINTR) return;
    }
  }

 private:
  const int number_;
  net::Descriptor own_;
  bool socket_ = false;
};

class HastySink final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    stderr_.write({line.data(), line.size()}, 0);
  }
  void flush_() override {}

  const Output stderr_{STDERR_FILENO};
};

}  // namespace

void write_text(int descriptor, std::string_view text) { Output(descriptor).write(text, patience); }

void log_to_stderr() {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("netserve", std::make_shared<HastySink>()));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
}
