// The options of the load generator.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

inline constexpr std::string_view load_usage =
    R"(load --port PORT [OPTIONS]: asks an echo server on 127.0.0.1, and checks each byte that it answers.

--udp             asks by datagrams, in place of TCP. Each answer is one; a request without an answer
                  for 200 ms is sent again, which "resent" counts in what is printed
--unix PATH       asks the server with this Unix stream socket, in place of --port
--connections N   connections that ask, each for one answer at a time [64]
--idle N          connections beside them that ask once, then again at the end [0]
--size BYTES      of a message [64]
--pipeline N      messages that a connection sends at once, and whose answers it awaits before it
                  asks again; latencies are those of all N [1]
--seconds S       time that is measured [2]
--warm-up S       time before it that is not [0.5]
--short           a connection for each request: connect, ask, read the answer, close
--rate R          requests a second in all, on a schedule; latencies count from the time a request
                  is due, so a server that is late does not have its lateness forgiven.
                  By default each connection asks again as soon as it is answered.
--requests N      ends after so many messages, in place of --seconds
--holders N       connections beside them that ask with "hold me!" again and again, and do not count
--regime MS       the server's handlers change in each such period (see servers/work.h); begins with
                  a period of the first kind. A first byte that is inverted is right, and says that
                  the request slept. Prints the p99 of the others by the time that they were sent
--changes N       periods after the first [5]
--marks           prints {"mark": NAME} when it is quiet, and goes on after a line on stdin:
                  "active" when the connections have asked once, "idle" when the idle ones have,
                  "begin" before what is measured, "end" after it

Prints one JSON object; latencies are in microseconds. Fails if a byte is wrong or a connection lost.
)";

struct LoadOptions {
  std::uint16_t port = 0;
  std::size_t connections = 64;
  std::size_t idle = 0;
  std::size_t size = 64;
  std::size_t pipeline = 1;
  std::size_t holders = 0;
  double seconds = 2;
  double warm_up = 0.5;
  std::uint64_t requests = 0;  // 0: as many as fit into `seconds`
  std::int64_t regime = 0;     // milliseconds
  int changes = 5;
  double rate = 0;  // 0: a closed loop
  bool brief = false;
  bool udp = false;
  std::string unix_path;
  bool marks = false;

  std::size_t clients() const { return connections + idle + holders; }
  // Bytes that a connection sends before it awaits an answer.
  std::size_t message_size() const { return size * pipeline; }

  // Ends the program with the usage if an argument is wrong.
  static LoadOptions parse(int count, char** arguments) {
    LoadOptions options;
    for (int i = 1; i < count; ++i) {
      const std::string_view name = arguments[i];
      if (name == "--help") {
        std::fputs(load_usage.data(), stdout);
        std::exit(EXIT_SUCCESS);
      }
      if (name == "--short") {
        options.brief = true;
      } else if (name == "--udp") {
        options.udp = true;
      } else if (name == "--marks") {
        options.marks = true;
      } else {
        const char* const value = i + 1 < count ? arguments[++i] : "";
        if (!options.take(name, value)) refuse(name, value);
      }
    }
    if (options.udp && options.brief) refuse("--udp", "--short");
    if (options.udp && !options.unix_path.empty()) refuse("--udp", "--unix");
    if (options.port == 0 && options.unix_path.empty()) refuse("--port", "0");
    if (options.port != 0 && !options.unix_path.empty()) refuse("--port", "--unix");
    if (options.udp && (options.pipeline > 1 || options.holders > 0)) refuse("--udp", "--pipeline");
    if (options.regime > 0) {
      options.seconds = static_cast<double>(options.regime * (options.changes + 1)) / 1e3;
    }
    return options;
  }

 private:
  bool take(std::string_view name, const char* value) {
    if (name == "--port") return number(value, port, 1);
    if (name == "--unix") return !(unix_path = value).empty();
    if (name == "--connections") return number(value, connections, 1);
    if (name == "--idle") return number(value, idle, 0);
    if (name == "--size") return number(value, size, 1);
    if (name == "--pipeline") return number(value, pipeline, 1);
    if (name == "--holders") return number(value, holders, 0);
    if (name == "--requests") return number(value, requests, 1);
    if (name == "--regime") return number(value, regime, 1);
    if (name == "--changes") return number(value, changes, 1);
    if (name == "--seconds") return number(value, seconds, 0.01);
    if (name == "--warm-up") return number(value, warm_up, 0);
    if (name == "--rate") return number(value, rate, 1);
    return false;
  }

  template <class T>
  static bool number(const char* text, T& result, double least) {
    const char* const end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, result);
    return error == std::errc{} && stop == end && static_cast<double>(result) >= least &&
           static_cast<double>(result) <= 1e9;
  }

  [[noreturn]] static void refuse(std::string_view name, const char* value) {
    std::fprintf(stderr, "load: \"%.*s %s\" is no option of mine, or has no such value\n\n%s",
                 static_cast<int>(name.size()), name.data(), value, load_usage.data());
    std::exit(2);
  }
};
