// The command line of the servers in C and C++: --port N, --threads N, and words. They serve TCP.
// With --udp they serve datagrams, and with --unix PATH connections to that socket, if they can do
// that. With --framed, requests have a fixed size, and a client sends several at a time.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { frame_size = 64 };  // the size of a request and of its answer, with --framed

// Returns the number after `name`, or `otherwise`.
static inline int number_argument(int count, char** arguments, const char* name, int otherwise) {
  for (int i = 1; i + 1 < count; ++i) {
    if (strcmp(arguments[i], name) == 0) return atoi(arguments[i + 1]);
  }
  return otherwise;
}

// Returns the word after `name`, or NULL.
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
