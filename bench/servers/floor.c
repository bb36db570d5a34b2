// The floor: the least that an echo over epoll costs. One thread polls, reads, and answers at once.
// It allocates nothing, and hands nothing to another thread. It has no limits of time and size, no
// handlers, and hardly any error handling. What a library costs beyond this is the price of those.
//
// It closes politely, as a server does that must not lose its last bytes to a reset. Unless the
// peer has ended its stream already, it shuts its output down, reads the bytes that are still under
// way, and then closes. With --plain-close it closes at once.

#define _GNU_SOURCE  // accept4

#include <sys/epoll.h>

#include "listening.h"

enum { most_bytes = 64 * 1024, most_events = 64 };

// The rest of an answer that did not fit into the socket at once. Few connections ever have one.
struct connection {
  char* rest;
  size_t begin, end;
};

static struct connection* connections;
static int poller;
static int plain_close;
static char buffer[most_bytes];

static void watch(int operation, int descriptor, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = descriptor};
  if (epoll_ctl(poller, operation, descriptor, &event) != 0) die("epoll_ctl");
}

static void finish(int descriptor, int ended) {
  struct connection* const connection = &connections[descriptor];
  free(connection->rest);
  *connection = (struct connection){0};
  if (!plain_close && !ended) {
    shutdown(descriptor, SHUT_WR);
    while (recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
  }
  close(descriptor);
}

static void accept_all(int listener) {
  for (;;) {
    const int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
  }
}

// Sends as much as it can, and keeps the rest until the socket takes it. Until then it reads
// nothing.
static void answer(int descriptor, const char* bytes, size_t size) {
  const ssize_t sent = send(descriptor, bytes, size, MSG_NOSIGNAL);
  if (sent == (ssize_t)size) return;
  if (sent < 0 && errno != EAGAIN) {
    finish(descriptor, 0);
    return;
  }
  const size_t done = sent > 0 ? (size_t)sent : 0;
  struct connection* const connection = &connections[descriptor];
  connection->rest = malloc(size - done);
  if (connection->rest == NULL) die("malloc");
  memcpy(connection->rest, bytes + done, size - done);
  connection->begin = 0;
  connection->end = size - done;
  watch(EPOLL_CTL_MOD, descriptor, EPOLLOUT);
}

static void answer_rest(int descriptor) {
  struct connection* const connection = &connections[descriptor];
  const ssize_t sent = send(descriptor, connection->rest + connection->begin,
                            connection->end - connection->begin, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) finish(descriptor, 0);
    return;
  }
  connection->begin += (size_t)sent;
  if (connection->begin < connection->end) return;
  free(connection->rest);
  connection->rest = NULL;
  watch(EPOLL_CTL_MOD, descriptor, EPOLLIN);
}

static void serve(int descriptor) {
  if (connections[descriptor].rest != NULL) {
    answer_rest(descriptor);
    return;
  }
  const ssize_t count = recv(descriptor, buffer, sizeof buffer, 0);
  if (count > 0) {
    answer(descriptor, buffer, (size_t)count);
  } else if (count == 0 || errno != EAGAIN) {
    finish(descriptor, count == 0);
  }
}

// --udp: all clients share one socket. All datagrams that wait there are answered before the next
// poll.
static void serve_datagrams(int port) {
  const int descriptor = bind_loopback(SOCK_DGRAM | SOCK_NONBLOCK, &port);
  watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
  say_listening(port);
  for (;;) {
    struct epoll_event event;
    epoll_wait(poller, &event, 1, -1);
    for (;;) {
      struct sockaddr_storage sender;
      socklen_t length = sizeof sender;
      const ssize_t size =
          recvfrom(descriptor, buffer, sizeof buffer, 0, (struct sockaddr*)&sender, &length);
      if (size < 0) break;
      // A datagram that cannot be sent is lost.
      sendto(descriptor, buffer, (size_t)size, 0, (struct sockaddr*)&sender, length);
    }
  }
}

int main(int count, char** arguments) {
  plain_close = has_argument(count, arguments, "--plain-close");
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) die("epoll_create1");
  if (has_argument(count, arguments, "--udp")) {
    serve_datagrams(number_argument(count, arguments, "--port", 0));
  }
  const int listener = start_listening(count, arguments, SOCK_NONBLOCK);
  send_at_once(listener);  // accepted sockets inherit it
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
  connections = calloc(limit.rlim_cur, sizeof *connections);
  if (connections == NULL) die("calloc");
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  for (;;) {
    struct epoll_event events[most_events];
    const int ready = epoll_wait(poller, events, most_events, -1);
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.fd == listener) {
        accept_all(listener);
      } else {
        serve(events[i].data.fd);
      }
    }
  }
}
