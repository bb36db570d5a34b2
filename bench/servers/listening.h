// The common parts of the two servers in plain C: a listener, a sufficient limit of descriptors,
// and an exit on errors.
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
#include <sys/un.h>
#include <unistd.h>

#include "arguments.h"

static inline void die(const char* what) {
  perror(what);
  exit(EXIT_FAILURE);
}

static inline void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  // A container may allow a thousand million descriptors, and floor.c has a table of this size.
  const rlim_t plenty = 1 << 20;
  limit.rlim_cur = limit.rlim_max < plenty ? limit.rlim_max : plenty;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Binds to 127.0.0.1. Returns the socket, and its port in `port`.
static inline int bind_loopback(int type, int* port) {
  const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (descriptor < 0) die("socket");
  const int yes = 1;
  if (type & SOCK_STREAM) setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)*port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(descriptor, (struct sockaddr*)&address, size) != 0) die("bind");
  if (getsockname(descriptor, (struct sockaddr*)&address, &size) != 0) die("getsockname");
  *port = ntohs(address.sin_port);
  return descriptor;
}

static inline int bind_unix(int type, const char* path) {
  const int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (descriptor < 0) die("socket");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (bind(descriptor, (struct sockaddr*)&address, sizeof address) != 0) die("bind");
  return descriptor;
}

// Listens where the arguments say, and prints the endpoint. `flags`: SOCK_NONBLOCK, or 0.
static inline int start_listening(int count, char** arguments, int flags) {
  const char* const path = text_argument(count, arguments, "--unix");
  int port = number_argument(count, arguments, "--port", 0);
  const int listener = path != NULL ? bind_unix(SOCK_STREAM | flags, path)
                                    : bind_loopback(SOCK_STREAM | flags, &port);
  if (listen(listener, 4096) != 0) die("listen");
  raise_descriptor_limit();
  if (path != NULL) {
    say_listening_at(path);
  } else {
    say_listening(port);
  }
  return listener;
}

// Sets TCP_NODELAY, which has no effect on a Unix socket.
static inline void send_at_once(int descriptor) {
  const int yes = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}
