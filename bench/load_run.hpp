// The work of the load generator: one thread and one epoll, so that it uses as little as possible
// of the machine on which the server is measured.
#pragma once

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "histogram.hpp"
#include "load_connection.hpp"
#include "load_options.hpp"
#include "load_timeline.hpp"

Clock::duration in_seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// Transport: Streams or Datagrams.
template <class Transport>
class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options),
        pattern_(options.message_size()),
        hold_message_(hold_message(options.message_size())),
        connections_(options.clients()),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        transport_(options_, pattern_, epoll_) {
    for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i].number = i;
  }

  void run() {
    const std::span all(connections_);
    const auto active = all.first(options_.connections);
    const auto idle = all.subspan(options_.connections, options_.idle);
    ask_once(active);
    mark("active");
    ask_once(idle);
    mark("idle");
    for (Connection& connection : all.last(options_.holders)) begin(connection, Clock::now());
    if (options_.warm_up > 0) ask(active, options_.warm_up);
    mark("begin");
    latencies_ = Histogram();
    if constexpr (Transport::may_lose) transport_.resent();
    if (options_.regime > 0) await_first_regime();
    const double cpu = own_cpu();
    const Time begin = Clock::now();
    timeline_ = Timeline(begin);
    ask(active, options_.seconds);
    const std::chrono::duration<double> time = Clock::now() - begin;
    print(time.count(), own_cpu() - cpu);
    mark("end");
    ask_once(idle);
    std::fputs(result_.c_str(), stdout);
  }

 private:
  static double own_cpu() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](timeval time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  static std::string hold_message(std::size_t size) {
    std::string message = "hold me!";
    message.resize(size, '.');
    return message;
  }

  bool holds(const Connection& connection) const {
    return connection.number >= options_.connections + options_.idle;
  }

  // Waits for the start of the first of two periods, as the server counts them: see servers/work.h.
  void await_first_regime() const {
    const Clock::duration both = std::chrono::milliseconds(2 * options_.regime);
    const Time now = Clock::now();
    std::this_thread::sleep_until(now + (both - now.time_since_epoch() % both));
  }

  void mark(const char* name) const {
    if (!options_.marks) return;
    std::printf("{\"mark\": \"%s\"}\n", name);
    std::fflush(stdout);
    for (int c = std::getchar(); c != '\n'; c = std::getchar()) {
      if (c == EOF) throw std::runtime_error("stdin ended at a mark");
    }
  }

  // Each connection makes one request, a few at a time, so that the kernel's backlog does not
  // overflow.
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
      std::uint64_t asked = 0;
      const auto ask_again = [&](Connection& connection, Time now) {
        const bool more =
            options_.requests > 0 ? asked * options_.pipeline < options_.requests : now < end;
        if (!more) return;
        ++asked;
        begin(connection, now);
      };
      for (Connection& connection : connections) ask_again(connection, Clock::now());
      while (busy_ > 0) turn(std::nullopt, ask_again);
    }
  }

  // A request that is due while no connection is free waits for one, and the wait is part of its
  // latency. All requests that were due are made, however late.
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
    ++connection.request;
    connection.message = holds(connection)
                             ? hold_message_.data()
                             : pattern_.message(connection.number, connection.request);
    connection.sent = connection.received = 0;
    connection.since = since;
    if (!holds(connection)) ++busy_;
    transport_.ask(connection);
  }

  template <class OnAnswer>
  void turn(std::optional<Time> until, OnAnswer on_answer) {
    std::array<epoll_event, 64> events;
    if constexpr (Transport::may_lose) {
      const Time look = transport_.repeat(connections_);
      until = until ? std::min(*until, look) : look;
    }
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
      if (connection.descriptor >= 0 && transport_.receive(connection)) {
        finish(connection, on_answer);
      }
    }
  }

  template <class OnAnswer>
  void finish(Connection& connection, OnAnswer& on_answer) {
    const Time now = Clock::now();
    connection.busy = false;
    if (holds(connection)) {
      begin(connection, now);
      return;
    }
    const std::chrono::nanoseconds latency = now - connection.since;
    latencies_.record(static_cast<std::uint64_t>(latency.count()));
    if (options_.regime > 0 && !connection.slept) timeline_.record(connection.since, latency);
    --busy_;
    if (options_.brief && connection.number < options_.connections) {
      ::close(connection.descriptor);
      connection.descriptor = -1;
    }
    on_answer(connection, now);
  }

  void print(double seconds, double cpu) {
    const auto requests = static_cast<double>(latencies_.count() * options_.pipeline);
    const auto micro = [this](double share) {
      return static_cast<double>(latencies_.percentile(share)) / 1e3;
    };
    std::string more;
    if constexpr (Transport::may_lose) {
      more = ", \"resent\": " + std::to_string(transport_.resent());
    }
    if (options_.regime > 0) more = ", \"timeline\": " + timeline_.json();
    std::array<char, 512> text;
    std::snprintf(text.data(), text.size(),
                  "{\"requests\": %.0f, \"seconds\": %.6f, \"requests_per_second\": %.1f, "
                  "\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, "
                  "\"load_cpu_seconds\": %.3f",
                  requests, seconds, requests / seconds, micro(0.5), micro(0.99), micro(0.999),
                  static_cast<double>(latencies_.max()) / 1e3, cpu);
    result_ = text.data() + more + "}\n";
  }

  const LoadOptions options_;
  const Pattern pattern_;
  const std::string hold_message_;
  std::vector<Connection> connections_;
  const int epoll_;
  Transport transport_;
  std::size_t busy_ = 0;
  Histogram latencies_;
  Timeline timeline_;
  std::string result_;
};
