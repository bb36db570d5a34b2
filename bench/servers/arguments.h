// The command line of the servers in C and C++: --port N, --threads N, and words.
// They serve TCP; with --udp, datagrams, and with --unix PATH connections to that socket, where
// they can do that; with --framed, requests of a fixed size, of which a client sends several at a
// time.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { frame_size = 64 };  // with --framed, of a request and its answer

// The number after `name`, or `otherwise`.
static inline int number_argument(int count, char** arguments, const char* name, int otherwise) {
  for (int i = 1; i + 1 < count; ++i) {
    if (strcmp(arguments[i], name) == 0) return atoi(arguments[i + 1]);
  }
  return otherwise;
}

// The word after `name`, or NULL.
static inline const char* text_argument(int count, char** arguments, const char* name) {
  for (int i = 1; i + 1 < count; ++i) {
    if (strcmp(arguments[i], name) == 0) return arguments[i + 1];
  }
  return NULL;
}

static inline int has_argument(int count, char** arguments, const char* name) {
  for (int i = 1; i < count; ++i) {
    if (strcmp(arguments[i], name) == 0) return 1;
  }
  return 0;
}

static inline void say_listening(int port) {
  printf("listening on %d\n", port);
  fflush(stdout);
}

static inline void say_listening_at(const char* path) {
  printf("listening on %s\n", path);
  fflush(stdout);
}
