module;

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <initializer_list>

module net.socket;

import :write_signals;

namespace net {

WithoutWriteSignals::WithoutWriteSignals() noexcept {
  sigset_t blocked{};
  ::sigemptyset(&blocked);
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGTTOU}) ::sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  sigset_t pending{};
  ::sigpending(&pending);
  ::sigemptyset(&raised_);
  for (const int signal : {SIGPIPE, SIGXFSZ}) {
    if (::sigismember(&pending, signal) == 0) ::sigaddset(&raised_, signal);
  }
}

WithoutWriteSignals::~WithoutWriteSignals() {
  const int error = errno;
  const timespec at_once{};
  while (::sigtimedwait(&raised_, nullptr, &at_once) > 0 || errno == EINTR) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = error;
}

}  // namespace net
