// The load generator of the benchmarks: one thread and one epoll, so that it takes as little as
// possible of the machine that the server is measured on.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "load_options.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

constexpr std::chrono::seconds patience{20};  // with a server that does not answer

Clock::duration in_seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// What each request says. It differs from one connection and from one request to the next, so an
// answer that went astray or came late is found out; and it lies ready, so that it costs nothing.
class Pattern {
 public:
  explicit Pattern(std::size_t size) : bytes_(size + variants) {
    std::uint64_t state = 1;
    for (char& byte : bytes_) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<char>(state >> 56);
    }
  }
  const char* message(std::uint64_t connection, std::uint64_t request) const {
    return bytes_.data() + (connection * 7919 + request * 104729) % variants;
  }

 private:
  static constexpr std::size_t variants = 65521;  // a prime
  std::vector<char> bytes_;
};

struct Connection {
  std::size_t number = 0;
  int descriptor = -1;
  bool busy = false;
  std::uint64_t request = 0;
  const char* message = nullptr;
  std::size_t sent = 0;
  std::size_t received = 0;
  Time since;  // when the request was made, or was due
};

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options),
        pattern_(options.size),
        buffer_(options.size + 1),
        connections_(options.connections + options.idle),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i].number = i;
  }

  void run() {
    const std::span all(connections_);
    const auto active = all.first(options_.connections);
    const auto idle = all.subspan(options_.connections);
    ask_once(active);
    mark("active");
    ask_once(idle);
    mark("idle");
    if (options_.warm_up > 0) ask(active, options_.warm_up);
    mark("begin");
    latencies_ = Histogram();
    const double cpu = own_cpu();
    const Time begin = Clock::now();
    ask(active, options_.seconds);
    const std::chrono::duration<double> time = Clock::now() - begin;
    print(time.count(), own_cpu() - cpu);
    mark("end");
    ask_once(idle);
    std::fputs(result_.c_str(), stdout);
  }

 private:
  [[noreturn]] static void fail(const Connection& connection, const std::string& what) {
    throw std::runtime_error("connection " + std::to_string(connection.number) + ", request " +
                             std::to_string(connection.request) + ": " + what);
  }

  static double own_cpu() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](timeval time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  void mark(const char* name) const {
    if (!options_.marks) return;
    std::printf("{\"mark\": \"%s\"}\n", name);
    std::fflush(stdout);
    for (int c = std::getchar(); c != '\n'; c = std::getchar()) {
      if (c == EOF) throw std::runtime_error("stdin ended at a mark");
    }
  }

  // Each asks one time, a few at once so that no backlog of the kernel overflows.
  void ask_once(std::span<Connection> connections) {
    constexpr std::size_t at_once = 64;
    std::size_t next = 0;
    while (next < connections.size() || busy_ > 0) {
      while (next < connections.size() && busy_ < at_once) begin(connections[next++], Clock::now());
      turn(std::nullopt, [](Connection&, Time) {});
    }
  }

  void ask(std::span<Connection> connections, double seconds) {
    if (options_.rate > 0) {
      ask_on_schedule(connections, seconds);
    } else {
      const Time end = Clock::now() + in_seconds(seconds);
      for (Connection& connection : connections) begin(connection, Clock::now());
      while (busy_ > 0) {
        turn(std::nullopt, [&](Connection& connection, Time now) {
          if (now < end) begin(connection, now);
        });
      }
    }
  }

  // A request that is due while no connection is free waits for one, and that is part of its
  // latency. All that were due are served, however late.
  void ask_on_schedule(std::span<Connection> connections, double seconds) {
    const Time start = Clock::now();
    const auto requests = static_cast<std::uint64_t>(seconds * options_.rate);
    std::uint64_t made = 0;
    const auto due = [&] { return start + in_seconds(static_cast<double>(made) / options_.rate); };
    std::deque<Connection*> free;
    for (Connection& connection : connections) free.push_back(&connection);
    while (made < requests || busy_ > 0) {
      while (made < requests && !free.empty() && due() <= Clock::now()) {
        begin(*free.front(), due());
        free.pop_front();
        ++made;
      }
      const bool waits = made < requests && !free.empty();
      turn(waits ? std::optional(due()) : std::nullopt,
           [&](Connection& connection, Time) { free.push_back(&connection); });
    }
  }

  void begin(Connection& connection, Time since) {
    connection.busy = true;
    connection.message = pattern_.message(connection.number, ++connection.request);
    connection.sent = connection.received = 0;
    connection.since = since;
    ++busy_;
    if (connection.descriptor < 0) connect(connection);
    push(connection);
  }

  // From many addresses: one alone runs out of ports when each request takes one and leaves it in
  // TIME_WAIT for a minute.
  void connect(Connection& connection) {
    constexpr std::uint32_t first_source = 0x7f000002, sources = 250, yes = 1;
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail(connection, std::string("socket: ") + std::strerror(errno));
    connection.descriptor = descriptor;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(first_source + source_++ % sources);
    ::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      fail(connection, std::string("bind: ") + std::strerror(errno));
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(options_.port);
    if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS) {
      fail(connection, std::string("connect: ") + std::strerror(errno));
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
      fail(connection, std::string("epoll_ctl: ") + std::strerror(errno));
    }
  }

  // Sends what fits; what does not, and all of it while the connection is still being made, goes
  // with the next event.
  void push(Connection& connection) {
    while (connection.sent < options_.size) {
      const auto count = ::send(connection.descriptor, connection.message + connection.sent,
                                options_.size - connection.sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN) return;
      if (count < 0) fail(connection, std::string("lost: ") + std::strerror(errno));
      connection.sent += static_cast<std::size_t>(count);
    }
  }

  template <class OnAnswer>
  void turn(std::optional<Time> until, OnAnswer on_answer) {
    std::array<epoll_event, 64> events;
    const auto wait = until ? std::max(*until - Clock::now(), Clock::duration::zero()) : patience;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    const timespec time{seconds.count(), std::chrono::nanoseconds(wait - seconds).count()};
    const int count = ::epoll_pwait2(epoll_, events.data(), events.size(), &time, nullptr);
    if (count < 0 && errno != EINTR) throw std::runtime_error("epoll_pwait2 failed");
    if (count == 0 && !until) {
      throw std::runtime_error(std::to_string(busy_) + " requests are not answered");
    }
    for (int i = 0; i < count; ++i) {
      Connection& connection =
          *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection.descriptor >= 0 && pull(connection)) finish(connection, on_answer);
    }
  }

  // Receives what is there. True if the answer is whole.
  bool pull(Connection& connection) {
    if (connection.busy) push(connection);
    const std::size_t wanted = connection.busy ? options_.size - connection.received : 0;
    // One byte more than is wanted shows what was never asked for.
    const auto count = ::recv(connection.descriptor, buffer_.data(), wanted + 1, 0);
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) fail(connection, std::string("lost: ") + std::strerror(errno));
    if (count == 0) fail(connection, "lost: the server has closed it");
    const auto size = static_cast<std::size_t>(count);
    if (size > wanted) fail(connection, "more bytes came than were asked for");
    const char* const expected = connection.message + connection.received;
    if (std::memcmp(buffer_.data(), expected, size) != 0) {
      const auto wrong = std::mismatch(expected, expected + size, buffer_.data()).first - expected;
      fail(connection, "byte " +
                           std::to_string(connection.received + static_cast<std::size_t>(wrong)) +
                           " is wrong");
    }
    connection.received += size;
    // A short read has emptied the socket: the next byte, or the end, is an event of its own.
    return connection.received == options_.size;
  }

  template <class OnAnswer>
  void finish(Connection& connection, OnAnswer& on_answer) {
    const Time now = Clock::now();
    const std::chrono::nanoseconds latency = now - connection.since;
    latencies_.record(static_cast<std::uint64_t>(latency.count()));
    connection.busy = false;
    --busy_;
    if (options_.brief && connection.number < options_.connections) {
      ::close(connection.descriptor);
      connection.descriptor = -1;
    }
    on_answer(connection, now);
  }

  void print(double seconds, double cpu) {
    const auto requests = static_cast<double>(latencies_.count());
    const auto micro = [this](double share) {
      return static_cast<double>(latencies_.percentile(share)) / 1e3;
    };
    std::array<char, 512> text;
    std::snprintf(text.data(), text.size(),
                  "{\"requests\": %.0f, \"seconds\": %.6f, \"requests_per_second\": %.1f, "
                  "\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, "
                  "\"load_cpu_seconds\": %.3f}\n",
                  requests, seconds, requests / seconds, micro(0.5), micro(0.99), micro(0.999),
                  static_cast<double>(latencies_.max()) / 1e3, cpu);
    result_ = text.data();
  }

  const LoadOptions options_;
  const Pattern pattern_;
  std::vector<char> buffer_;
  std::vector<Connection> connections_;
  const int epoll_;
  std::size_t busy_ = 0;
  std::uint32_t source_ = 0;
  Histogram latencies_;
  std::string result_;
};

void raise_descriptor_limit(std::size_t connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (connections + 16 > limit.rlim_max) {
    throw std::runtime_error("this process may open " + std::to_string(limit.rlim_max) +
                             " descriptors only (ulimit -Hn)");
  }
}

}  // namespace

int main(int count, char** arguments) {
  const LoadOptions options = LoadOptions::parse(count, arguments);
  try {
    raise_descriptor_limit(options.connections + options.idle);
    ::prctl(PR_SET_TIMERSLACK, 1);  // else a schedule is kept to 50 microseconds only
    std::make_unique<Load>(options)->run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
