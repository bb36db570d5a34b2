// netserve, the demo server.

#include <fcntl.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "echo.hpp"
#include "endpoint.hpp"

namespace {

constexpr int usage_error = 2;

// The numbers' bounds keep every sum of times and sizes far from overflow.
constexpr int most_workers = 4096;
constexpr double longest_drain = 24.0 * 3600;

int usage(const CLI::App& app, const std::string& what) {
  std::cerr << "netserve: " << what << "\n\n" << app.help("", CLI::AppFormatMode::All);
  return usage_error;
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("Request servers, to try: see README.md.", "netserve");
  app.require_subcommand(1);
  CLI::App* const echo = app.add_subcommand("echo", "Send back what clients send");
  std::vector<std::string> listen{"tcp://127.0.0.1:9999"};
  EchoOptions options;
  double drain_seconds = 10;
  echo->add_option("--listen", listen,
                   "Where to listen: tcp://HOST:PORT, HOST a name, an IPv4 address or [an IPv6 "
                   "address], PORT 0 for one that the system picks; may be repeated")
      ->take_all()
      ->type_name("ENDPOINT")
      ->capture_default_str();
  echo->add_option("--policy", options.policy, "How requests run")
      ->check(CLI::IsMember({"pool", "thread", "fork", "inline"}))
      ->type_name("pool|thread|fork|inline")
      ->capture_default_str();
  CLI::Option* const workers =
      echo->add_option("--workers", options.workers, "The pool's threads; max(8, twice the cores)")
          ->check(CLI::Range(1, most_workers))
          ->type_name("N");
  echo->add_option("--drain-timeout", drain_seconds,
                   "How long requests in hand may take after SIGTERM or SIGINT")
      ->check(CLI::Range(0.0, longest_drain))
      ->type_name("SECONDS")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    for (const std::string& text : listen) options.endpoints.push_back(Endpoint::parse(text));
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help("", CLI::AppFormatMode::All);
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return usage(app, error.what());
  } catch (const std::invalid_argument& error) {
    return usage(app, error.what());
  }
  if (workers->count() > 0 && options.policy != "pool") {
    return usage(app, "--workers is for --policy pool");
  }
  if (std::isnan(drain_seconds)) {  // which is in every range, as CLI11 compares
    return usage(app, "--drain-timeout is a number of seconds");
  }
  options.drain =
      std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(drain_seconds));
  return run_echo(options);
}

// A descriptor from 0 to 2 that is closed would be given to the next socket, and lines meant for
// people would be sent to it.
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
  spdlog::set_default_logger(spdlog::stderr_color_mt("netserve"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  try {
    return parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "netserve: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
