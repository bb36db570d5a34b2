// What each example needs and none is about: an address, and an end on SIGTERM or Ctrl-C.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

import net.server;

// The port that the command line asks for; 0, which lets the system pick one, if it does not.
inline std::uint16_t port(int argc, char** argv) {
  return argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : std::uint16_t{0};
}

// The file that the command line asks for; a name outside of the file system, which the system
// picks, if it does not.
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
