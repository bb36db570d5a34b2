// A thread for each connection, in plain C: blocking, and detached. work.h lists what its handlers
// can do.

#define _GNU_SOURCE  // accept4

#include <pthread.h>

#include "listening.h"
#include "work.h"

enum { most_bytes = 64 * 1024 };

static size_t buffer_size;

static void* serve(void* argument) {
  const int descriptor = (int)(intptr_t)argument;
  char buffer[most_bytes];  // on the stack, which takes memory only where it is touched
  ssize_t count;
  while ((count = recv(descriptor, buffer, buffer_size, 0)) > 0) {
    if (work.given) do_work_in_place(buffer, (size_t)count);
    for (ssize_t done = 0; done < count;) {
      const ssize_t sent = send(descriptor, buffer + done, (size_t)(count - done), MSG_NOSIGNAL);
      if (sent < 0) break;
      done += sent;
    }
  }
  close(descriptor);
  return NULL;
}

int main(int count, char** arguments) {
  take_work(count, arguments);
  buffer_size = (size_t)number_argument(count, arguments, "--buffer", 4096);
  if (buffer_size > most_bytes) buffer_size = most_bytes;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const int listener = start_listening(count, arguments, 0);
  for (;;) {
    const int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    send_at_once(descriptor);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, serve, (void*)(intptr_t)descriptor) != 0) {
      close(descriptor);
    }
  }
}
