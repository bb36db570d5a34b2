// The load generator of the benchmarks: see load_options.hpp.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "load_datagrams.hpp"
#include "load_options.hpp"
#include "load_run.hpp"
#include "load_streams.hpp"

namespace {

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
    raise_descriptor_limit(options.clients());
    ::prctl(PR_SET_TIMERSLACK, 1);  // otherwise a schedule is only exact to 50 us
    if (options.udp) {
      std::make_unique<Load<Datagrams>>(options)->run();
    } else {
      std::make_unique<Load<Streams>>(options)->run();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
