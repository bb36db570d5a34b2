// Shared by the examples: reads the address from the command line, and serves until SIGTERM or
// Ctrl-C.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

import net.server;

// Returns the port on the command line, or 0, which lets the system pick one.
inline std::uint16_t port(int argc, char** argv) {
  return argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : std::uint16_t{0};
}

// Returns the file on the command line, or a name outside of the file system, which the system
// picks.
inline net::Address unix_address(int argc, char** argv) {
  return argc > 1 ? net::Address::unix_path(argv[1]) : net::Address::unix_unnamed();
}

inline void announce(const net::BaseServer& server) {
  std::printf("listening on %s\n", server.server_address().to_string().c_str());
  std::fflush(stdout);
}

inline std::atomic<net::BaseServer*> serving{nullptr};

extern "C" inline void stop_serving(int) { serving.load()->shutdown(); }

inline void serve(net::BaseServer& server) {
  serving = &server;
  std::signal(SIGTERM, stop_serving);
  std::signal(SIGINT, stop_serving);
  announce(server);
  server.serve_forever();
}
