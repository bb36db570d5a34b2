// The command line of the servers in C and C++: --port N, --threads N, --sleep MS, and words.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The number after `name`, or `otherwise`.
static inline int number_argument(int count, char** arguments, const char* name, int otherwise) {
  for (int i = 1; i + 1 < count; ++i) {
    if (strcmp(arguments[i], name) == 0) return atoi(arguments[i + 1]);
  }
  return otherwise;
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
