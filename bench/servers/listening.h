// What the two servers in plain C have in common: a listener, a descriptor limit that does not get
// in the way, and how to die.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"

static inline void die(const char* what) {
  perror(what);
  exit(EXIT_FAILURE);
}

static inline void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  // A container may allow a thousand million, and somebody keeps a table of this size.
  const rlim_t plenty = 1 << 20;
  limit.rlim_cur = limit.rlim_max < plenty ? limit.rlim_max : plenty;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Listens on 127.0.0.1 and says so. `flags`: SOCK_NONBLOCK, or 0.
static inline int start_listening(int port, int flags) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (listener < 0) die("socket");
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, size) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &size) != 0) die("getsockname");
  raise_descriptor_limit();
  say_listening(ntohs(address.sin_port));
  return listener;
}

static inline void send_at_once(int descriptor) {
  const int yes = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}
