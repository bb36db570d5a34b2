module;

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

module net.server;

import net.socket;

namespace net {
namespace {

using Clock = std::chrono::steady_clock;

// The time when a line was last printed, and the number of lines suppressed since, for each kind of
// event.
struct Turn {
  std::atomic<Clock::rep> last{0};
  std::atomic<std::uint32_t> suppressed{0};
};
using Turns = std::array<Turn, 8>;

// One table for the process and its children: a thousand failing children must not print a thousand
// lines. Hence the memory is shared and never unmapped.
Turns& turns() {
  static Turns* const shared = [] {
    void* const memory =
        ::mmap(nullptr, sizeof(Turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) return new (memory) Turns;
    static Turns own;
    return &own;
  }();
  return *shared;
}

// Returns whether the descriptor of stderr is stderr. If stderr was closed, an accepted socket may
// have its number until the socket is moved to another one. Such a socket is close-on-exec, unlike
// any inherited stderr.
bool has_stderr() noexcept {
  const int flags = ::fcntl(STDERR_FILENO, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) == 0) return flags >= 0;
  struct stat status{};
  if (::fstat(STDERR_FILENO, &status) != 0) return false;
  return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
}

void write_line(std::string line) {
  if (!has_stderr()) return;
  line += '\n';
  pollfd polled{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&polled, 1, 0) != 1 || (polled.revents & POLLOUT) == 0) return;
  // `poll` also reports POLLOUT if a pipe has no reader any more. A line that cannot be written is
  // lost: there is nowhere to report it.
  write_without_signals(STDERR_FILENO, bytes(line));
}

// Returns the text on one line, without control characters, which a terminal would obey: clients
// may influence exceptions and the names of their sockets. Covers ISO 646 and, in UTF-8, ISO 6429.
std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string line;
  unsigned char before = 0;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    const bool control = byte < 0x20 || byte == 0x7f || (before == 0xc2 && byte < 0xa0);
    before = byte;
    if (!control) {
      line += character;
    } else if (byte == '\n') {
      line += "\\n";
    } else {
      line += "\\x";
      line += digits[byte / 16];
      line += digits[byte % 16];
    }
  }
  return line;
}

bool has_code(const std::exception_ptr& exception, auto... codes) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (const std::system_error& error) {
    return ((error.code() == codes) || ...);
  } catch (...) {
    return false;
  }
}

}  // namespace

const char* name(Phase phase) noexcept {
  switch (phase) {
    case Phase::verify_request: return "verify_request";
    case Phase::on_overload: return "on_overload";
    case Phase::on_close: return "on_close";
    case Phase::on_request: return "on_request";
    case Phase::on_bad_request: return "on_bad_request";
    case Phase::proxy_header: return "proxy_header";
    case Phase::process: return "process";
    case Phase::make: return "the making of its handler";
    case Phase::setup: return "setup";
    case Phase::receive: return "receive";
    case Phase::handle: return "handle";
    case Phase::finish: return "finish";
    case Phase::service_actions: return "service_actions";
    case Phase::handle_timeout: return "handle_timeout";
    case Phase::handle_listener_error: return "handle_listener_error";
  }
  return "unknown phase";
}

const char* name(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::served: return "served";
    case Outcome::closed_idle: return "closed_idle";
    case Outcome::shed: return "shed";
    case Outcome::rejected: return "rejected";
    case Outcome::evicted: return "evicted";
    case Outcome::greedy: return "greedy";
    case Outcome::too_many: return "too_many";
    case Outcome::too_fast: return "too_fast";
    case Outcome::timed_out: return "timed_out";
    case Outcome::failed: return "failed";
    case Outcome::cut: return "cut";
    case Outcome::dropped: return "dropped";
    case Outcome::refused: return "refused";
    case Outcome::not_introduced: return "not_introduced";
  }
  return "unknown outcome";
}

std::string RequestError::what() const {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

bool RequestError::peer_gone() const noexcept {
  return has_code(exception, std::errc::connection_reset, std::errc::broken_pipe,
                  std::errc::connection_aborted, std::errc::not_connected);
}

bool RequestError::too_large() const noexcept {
  return has_code(exception, std::errc::message_size);
}

bool RequestError::timed_out() const noexcept { return has_code(exception, std::errc::timed_out); }

// Maps the page before any fork: otherwise the children would not share it.
ServerHooks::ServerHooks() noexcept { turns(); }

ServerHooks::~ServerHooks() = default;

void ServerHooks::server_bind(Socket& listener, const Address& address) { listener.bind(address); }

void ServerHooks::server_activate(Socket& listener, int request_queue_size) {
  listener.listen(request_queue_size);
}

bool ServerHooks::verify_request(const Socket&, const Address&) { return true; }

std::string ServerHooks::on_overload(const Address&) { return {}; }

std::string ServerHooks::on_bad_request(const Address&, BadRequest) { return {}; }

void ServerHooks::on_close(const ClosedConnection&) {}

void ServerHooks::on_request(const RequestRecord&) {}

void ServerHooks::service_actions() {}

void ServerHooks::handle_timeout() {}

void ServerHooks::handle_listener_error(const Address& address, std::exception_ptr error) {
  const RequestError described{Phase::handle_listener_error, std::move(error), address};
  report({Event::Kind::listener_dead,
          printable("the listener on " + address.to_string() + " is dead: " + described.what())});
}

void ServerHooks::handle_error(const RequestError& error) {
  if (error.peer_gone() || error.timed_out()) return;
  std::string text;
  if (error.client_address.family() == Family::unspecified) {
    text = std::string("exception in ") + name(error.phase);
  } else {
    text = "request from " + error.client_address.to_string() + " failed in " + name(error.phase);
  }
  report({Event::Kind::request_error, printable(text + ": " + error.what())});
}

void ServerHooks::report(const Event& event) {
  using namespace std::chrono_literals;
  Turn& turn = turns().at(static_cast<std::size_t>(event.kind));
  auto last = turn.last.load(std::memory_order_relaxed);
  const auto now = Clock::now().time_since_epoch().count();
  // A child with a wild pointer may have written any number.
  const bool plausible = last > 0 && last <= now;
  if ((plausible && Clock::duration(now - last) < 1s) ||
      !turn.last.compare_exchange_strong(last, now, std::memory_order_relaxed)) {
    turn.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const auto suppressed = turn.suppressed.exchange(0, std::memory_order_relaxed);
  std::string line = "netserve: " + event.text;
  if (suppressed != 0) line += " (and " + std::to_string(suppressed) + " more like it)";
  write_line(std::move(line));
}

WorkerHooks::WorkerHooks() noexcept = default;
WorkerHooks::~WorkerHooks() = default;
void WorkerHooks::worker_started() noexcept {}
void WorkerHooks::worker_stopped() noexcept {}

}  // namespace net
