// netserve, the demo server.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "echo.hpp"
#include "endpoint.hpp"
#include "log.hpp"

namespace {

constexpr int usage_error = 2;

// The bounds of these numbers keep every sum of times and sizes far from overflow.
constexpr int most_workers = 4096;
constexpr int most_connections = 1 << 24;
constexpr double longest = 24.0 * 3600;  // seconds
constexpr double shortest = 0.001;

int usage(const CLI::App& app, const std::string& what) {
  write_text(STDERR_FILENO, "netserve: " + what + "\n\n" + app.help("", CLI::AppFormatMode::All));
  return usage_error;
}

// Adds an option whose value is a time in seconds. CLI::Range would accept "nan".
CLI::Option* add_seconds(CLI::App& app, const std::string& name, std::chrono::milliseconds& time,
                         const std::string& description, double least = shortest) {
  CLI::callback_t parse = [&time, least, name](const CLI::results_t& words) {
    const std::string& text = words.back();
    double seconds = 0;
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seconds);
    const bool number = error == std::errc{} && stop == end;
    if (!number || !(seconds >= least && seconds <= longest)) {
      throw CLI::ValidationError(name, "\"" + text + "\" is not a number of seconds from " +
                                           (least > 0 ? "0.001" : "0") +
                                           " to 86400, which is a day");
    }
    time = std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
    return true;
  };
  return app.add_option(name, std::move(parse), description)->type_name("SECONDS");
}

void add_choice(CLI::App& app, const std::string& name, std::string& choice,
                const std::vector<std::string>& choices, const std::string& description) {
  std::string names;
  for (const std::string& each : choices) names += (names.empty() ? "" : "|") + each;
  app.add_option(name, choice, description)
      ->check(CLI::IsMember(choices))
      ->option_text(names + " [" + choice + "]");
}

void add_client_options(CLI::App& echo, EchoOptions& options) {
  const CLI::Validator networks(fault_of_networks, "");
  echo.add_option(
          "--proxy-protocol", options.proxies,
          "Require a PROXY header, version 1 or 2, on tcp and unix connections, and accept it "
          "from proxies in these networks, such as 10.0.0.0/8,::1")
      ->check(networks)
      ->type_name("NETWORKS");
  echo.add_option("--client-connections", options.client_connections,
                  "Connections that one client, an IPv4 address or an IPv6 /64, may have open")
      ->check(CLI::Range(1, most_connections))
      ->type_name("N");
  echo.add_option("--client-rate", options.client_rate,
                  "New connections per second that one client may open, on average")
      ->check(CLI::Range(0.001, 1e9))
      ->type_name("N");
  echo.add_option("--client-burst", options.client_burst,
                  "Connections that one client may open at once, after a pause")
      ->check(CLI::Range(1.0, 1e9))
      ->type_name("N")
      ->default_str("10");
  echo.add_option("--client-exempt", options.client_exempt,
                  "Networks whose clients have no such limits")
      ->check(networks)
      ->type_name("NETWORKS");
}

void add_echo_options(CLI::App& echo, std::vector<std::string>& listen, std::string& monitor,
                      EchoOptions& options) {
  echo.add_option(
          "--listen", listen,
          "Where to listen: tcp://HOST:PORT or udp://HOST:PORT, HOST a name, an IPv4 "
          "address or [an IPv6 address], PORT 0 for one that the system picks; unix:PATH or "
          "unixgram:PATH, or @NAME in place of a path; fd://N, a socket that is bound "
          "already; may be repeated. Sockets in LISTEN_FDS, sd_listen_fds(3), are served "
          "too; without this option, only these")
      ->take_all()
      ->type_name("ENDPOINT")
      ->capture_default_str();
  add_choice(
      echo, "--policy", options.policy, {"pool", "thread", "fork", "inline"},
      "Where requests run: on a pool of threads, a thread for each, a child process for each "
      "connection, or the serving thread");
  add_choice(echo, "--handler", options.handler, {"request", "conversation"},
             "Call the handler for each request, or once for a whole connection");
  add_choice(echo, "--framing", options.framing, {"none", "line"},
             "A request is whatever has arrived, or one line");
  echo.add_option("--workers", options.workers,
                  "Threads of --policy pool; by default twice the cores, at least 8")
      ->check(CLI::Range(1, most_workers))
      ->type_name("N");
  echo.add_option("--max-connections", options.max_connections,
                  "Connections open at a time; by default the descriptor limit, less a reserve")
      ->check(CLI::Range(1, most_connections))
      ->type_name("N");
  echo.add_option("--monitor", monitor,
                  "Serve metrics, /healthz, /readyz and a live page over HTTP: tcp://HOST:PORT or "
                  "unix:PATH")
      ->type_name("ENDPOINT");
  add_choice(
      echo, "--overload", options.overload, {"wait", "reject", "evict-idle"},
      "What happens to a new client when all connections, or the policy's threads or children, "
      "are in use");
  add_client_options(echo, options);
  const auto seconds = [&echo](const char* name, std::chrono::milliseconds& time,
                               const char* description, double least = shortest) {
    const std::string now = std::to_string(time / std::chrono::seconds(1));
    add_seconds(echo, name, time, description, least)->default_str(now);
  };
  seconds("--request-timeout", options.request,
          "From the first byte of a request until it is complete");
  seconds("--idle-timeout", options.idle, "The longest silence between two requests");
  seconds("--send-timeout", options.send, "How long a client may take no byte of its answer");
  seconds("--drain-timeout", options.drain,
          "Time for requests in progress after SIGTERM or SIGINT, or after SIGHUP once the "
          "restarted program serves on the same listeners",
          0);
  seconds("--keep-threads", options.keep_threads, "How long --policy thread keeps an idle thread",
          0);
  seconds(
      "--lame-duck", options.lame_duck,
      "How long to continue serving after SIGTERM or SIGINT before draining, while /readyz of the "
      "monitor answers 503",
      0);
  add_seconds(echo, "--stats", options.stats.emplace(),
              "Print the counters at this interval and at the end; SIGUSR1 prints them at once");
}

// Returns which option would be ignored, and why; empty if there is none.
std::string option_without_effect(const CLI::App& echo, const EchoOptions& options) {
  const auto given = [&echo](const char* option) { return echo.count(option) > 0; };
  if (given("--workers") && options.policy != "pool") return "--workers requires --policy pool";
  if (given("--keep-threads") && options.policy != "thread") {
    return "--keep-threads requires --policy thread";
  }
  if (given("--client-burst") && !given("--client-rate")) {
    return "--client-burst requires --client-rate";
  }
  if (given("--client-exempt") && !given("--client-rate") && !given("--client-connections")) {
    return "--client-exempt requires --client-rate or --client-connections";
  }
  return {};
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("A demonstration server of the netserve library; see README.md.", "netserve");
  app.set_version_flag("--version", "netserve " NETSERVE_VERSION, "Print the version and exit");
  app.require_subcommand(1);
  CLI::App* const echo = app.add_subcommand("echo", "Send back what clients send");
  std::vector<std::string> listen{"tcp://127.0.0.1:9999"};
  EchoOptions options;
  std::string monitor;
  add_echo_options(*echo, listen, monitor, options);
  try {
    app.parse(argc, argv);
    options.endpoints = inherited_endpoints();
    options.command.assign(argv, argv + argc);
    const bool none_inherited = std::ranges::all_of(
        options.endpoints, [](const Endpoint& each) { return each.name == monitor_name; });
    if (none_inherited || (echo->count("--listen") > 0 && !handed_over(options.endpoints))) {
      for (const std::string& text : listen) options.endpoints.push_back(Endpoint::parse(text));
    }
    if (echo->count("--monitor") > 0) options.monitor = Endpoint::parse_of_monitor(monitor);
  } catch (const CLI::CallForHelp&) {
    write_text(STDOUT_FILENO, app.help("", CLI::AppFormatMode::All));
    return EXIT_SUCCESS;
  } catch (const CLI::CallForVersion& version) {
    write_text(STDOUT_FILENO, version.what() + std::string("\n"));
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return usage(app, error.what());
  } catch (const std::invalid_argument& error) {
    return usage(app, error.what());
  }
  if (const std::string fault = option_without_effect(*echo, options); !fault.empty()) {
    return usage(app, fault);
  }
  if (echo->count("--stats") == 0) options.stats.reset();
  return run_echo(options);
}

// If a descriptor from 0 to 2 is closed, the next socket would get its number, and messages for the
// user would be sent to that socket.
void open_standard_descriptors() {
  int descriptor = 0;
  do {
    descriptor = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  log_to_stderr();
  try {
    return parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    write_text(STDERR_FILENO, std::string("netserve: ") + error.what() + "\n");
    return EXIT_FAILURE;
  }
}
