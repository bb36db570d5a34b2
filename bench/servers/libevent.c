// libevent: a bufferevent for each connection, in one thread, as in the echo server of the "Fast
// portable non-blocking network programming" book. TCP, or --unix PATH.

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "arguments.h"

static void answer(struct bufferevent* connection, void* context) {
  (void)context;
  evbuffer_add_buffer(bufferevent_get_output(connection), bufferevent_get_input(connection));
}

static void finish(struct bufferevent* connection, short events, void* context) {
  (void)context;
  if (events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(connection);
}

static void serve(struct evconnlistener* listener, evutil_socket_t descriptor,
                  struct sockaddr* address, int size, void* context) {
  (void)size, (void)context;
  const int yes = 1;
  if (address->sa_family == AF_INET) {
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  struct bufferevent* const connection =
      bufferevent_socket_new(evconnlistener_get_base(listener), descriptor, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(connection, answer, NULL, finish, NULL);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
}

int main(int count, char** arguments) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  struct event_base* const base = event_base_new();
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons((uint16_t)number_argument(count, arguments, "--port", 0)),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
  const char* const path = text_argument(count, arguments, "--unix");
  if (path != NULL) strncpy(unix_address.sun_path, path, sizeof unix_address.sun_path - 1);
  struct evconnlistener* const listener = evconnlistener_new_bind(
      base, serve, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096,
      path != NULL ? (struct sockaddr*)&unix_address : (struct sockaddr*)&address,
      path != NULL ? sizeof unix_address : sizeof address);
  if (listener == NULL) {
    perror("evconnlistener_new_bind");
    return EXIT_FAILURE;
  }
  if (path != NULL) {
    say_listening_at(path);
  } else {
    socklen_t size = sizeof address;
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr*)&address, &size);
    say_listening(ntohs(address.sin_port));
  }
  event_base_dispatch(base);
}
