#include "log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <string_view>

import net.socket;

namespace {

// Of a pipe, an open file of our own: O_NONBLOCK is everybody's who shares one.
int open_stderr() {
  struct stat status{};
  if (::fstat(STDERR_FILENO, &status) != 0 || !S_ISFIFO(status.st_mode)) return STDERR_FILENO;
  const int own =
      net::above_standard_streams(::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return own >= 0 ? own : STDERR_FILENO;
}

class HastySink final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    pollfd polled{descriptor_, POLLOUT, 0};
    if (::poll(&polled, 1, 0) != 1) return;
    net::write_without_signals(descriptor_, net::bytes({line.data(), line.size()}));
  }
  void flush_() override {}

  const int descriptor_ = open_stderr();
};

}  // namespace

void write_text(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto written = net::write_without_signals(descriptor, net::bytes(text));
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    if (written < 0 && errno != EINTR) return;
  }
}

void log_to_stderr() {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("netserve", std::make_shared<HastySink>()));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
}
