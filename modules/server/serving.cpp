module;

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <exception>
#include <gsl/util>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import :signals;

namespace net {

struct Serving::Thread {
  explicit Thread(BaseServer& server)
      : ended(above_standard_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
    if (ended.get() < 0) throw_system_error(errno, "eventfd");
    const BlockedSignals blocked(BlockedSignals::asynchronous());
    thread = std::thread([this, &server] {
      try {
        server.serve_forever();
      } catch (const std::system_error& thrown) {
        error = std::current_exception();
        found_it_closed = thrown.code() == std::errc::bad_file_descriptor;
      } catch (...) {
        error = std::current_exception();
      }
      ::eventfd_write(ended.get(), 1);
    });
  }

  bool is_over() const noexcept {
    pollfd polled{ended.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }

  Descriptor ended;  // readable when `serve_forever` has returned
  std::exception_ptr error;
  bool found_it_closed = false;
  DrainReport report;
  std::thread thread;
};

Serving::Serving(BaseServer& server) : server_(server), thread_(std::make_unique<Thread>(server)) {}

Serving::~Serving() {
  try {
    stop_within(std::nullopt);
  } catch (...) {
    // Call `stop` to get the exception.
  }
}

DrainReport Serving::stop(Deadline deadline) { return stop_within(deadline); }

DrainReport Serving::stop() { return stop_within(std::nullopt); }

DrainReport Serving::stop_within(std::optional<Deadline> deadline) {
  Thread& serving = *thread_;
  if (!serving.thread.joinable()) return serving.report;
  const bool closed_here = server_.fileno() >= 0 && !serving.is_over();
  server_.shutdown();
  // Close before the join: this also cuts a handler that holds up `serve_forever`.
  serving.report = deadline ? server_.server_close(*deadline) : server_.server_close();
  serving.thread.join();
  // If `stop` comes before the thread has begun to serve, the close makes `serve_forever` throw.
  if (closed_here && serving.found_it_closed) serving.error = nullptr;
  if (serving.error) std::rethrow_exception(std::exchange(serving.error, nullptr));
  return serving.report;
}

namespace {

sigset_t set_of(std::span<const int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) {
    if (::sigaddset(&set, signal) != 0) throw_system_error(errno, "serve_until");
  }
  return set;
}

// Waits until one of the signals, which this thread blocks, has arrived, or `other` is readable.
void wait_for(const sigset_t& signals, int other) {
  const Descriptor descriptor(above_standard_streams(::signalfd(-1, &signals, SFD_CLOEXEC)));
  if (descriptor.get() < 0) throw_system_error(errno, "signalfd");
  std::array<pollfd, 2> polled{{{descriptor.get(), POLLIN, 0}, {other, POLLIN, 0}}};
  while (::poll(polled.data(), polled.size(), -1) < 0) {
    if (errno != EINTR) throw_system_error(errno, "poll");
  }
  // Takes the signal, so that it has no effect later.
  signalfd_siginfo taken{};
  if (polled[0].revents != 0 && ::read(descriptor.get(), &taken, sizeof taken) < 0) {
    throw_system_error(errno, "read");
  }
}

}  // namespace

DrainReport serve_until(BaseServer& server, std::span<const int> signals) {
  const sigset_t set = set_of(signals);
  std::optional<Serving> serving;
  {
    const BlockedSignals blocked(set);
    serving.emplace(server);
    wait_for(set, serving->thread_->ended.get());
  }
  return serving->stop();
}

}  // namespace net
